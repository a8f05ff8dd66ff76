"""Events over HTTP: tablets, robots, the QC office."""
