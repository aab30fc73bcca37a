"""What the service tells about itself: counters, /metrics and logs. (A device's figures are metrics.)"""
