"""Stage 4, closed time -> history: Parquet files in a block store.

In come the columns that a checkpoint takes from the live fleet. Out come files, and answers read from them. A crash
leaves the files that the last committed manifest names, and perhaps others, which do not count and are removed later.
"""
