"""World snapshots under TUF: published, mirrored, carried over an air gap, and read safely."""
