"""`objects`: generated pictures whose difficulty is set by the lecture's five reasons why recognition is hard."""
