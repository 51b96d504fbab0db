"""From files to queries, passages and judgements."""
