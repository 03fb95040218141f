"""The worker's side: what makes media. `messages`, `errors`, `words`, `catalog` import no torch: all the server may use."""
