"""How the stages are joined: write, follow, checkpoint, recover. No rules of its own."""
