"""One file a verb: `add` declares its options, and names the function that carries it out.

A verb imports what it needs when it is carried out, so that `--help` is quick.
"""
