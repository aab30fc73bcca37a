"""Stage 4, closed time -> history: Parquet files in a block store."""
