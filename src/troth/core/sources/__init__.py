"""Sources: the kinds of foreign systems that send to us, and what each of them may be told to do."""
