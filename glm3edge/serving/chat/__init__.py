"""Chat completions: a request becomes a job, its tokens become a reply or chunks."""
