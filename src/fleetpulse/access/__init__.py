"""Who may do what: keys, tokens, roles and rate limits. In come credentials, out go principals or refusals."""
