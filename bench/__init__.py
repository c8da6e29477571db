"""`make bench`: every row of the budgets, measured, beside what the guide's own files did. Not shipped."""
