"""English, and the instants of records: UTC, to the second."""

DATETIME_FORMAT = "Y-m-d H:i:s \\U\\T\\C"
