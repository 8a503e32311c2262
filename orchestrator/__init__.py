"""The orchestrator: runs a stack of Peers and their Router, one process each, and keeps it up."""
