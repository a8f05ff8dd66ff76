"""Two small web services: `reports` shows what auditors read, `status` is the landing page for everyone."""
