"""Customer early-warning data platform: the rooms of docs/architecture.md."""
