"""Says what was found: comparisons, results and sessions as text, Markdown, HTML and JUnit XML."""
