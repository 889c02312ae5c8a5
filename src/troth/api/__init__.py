"""HTTP: reads, program settings, and what every answer shares (keys, problems, pages, logs); changes no customer."""
