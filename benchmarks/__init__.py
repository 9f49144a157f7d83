"""What the platform costs, measured: `make bench`. Its figures stand in docs/benchmarks.md."""
