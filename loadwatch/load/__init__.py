"""Makes the requests: arrivals, the wire, worker processes."""
