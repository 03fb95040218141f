"""The worker's side: what makes media. `messages`, `errors`, `words` and `catalog` import no torch and are all the server may use."""
