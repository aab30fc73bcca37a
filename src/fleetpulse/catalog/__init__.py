"""What people decide (devices and their labels), and the manifest of blocks and snapshot."""
