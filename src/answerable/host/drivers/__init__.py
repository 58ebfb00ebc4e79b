"""Package tools behind one port: apt, rpm, pip in a virtual environment."""
