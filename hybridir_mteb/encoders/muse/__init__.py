"""The embedded encoder ``muse``: Google's multilingual Universal Sentence Encoder, version 3."""
