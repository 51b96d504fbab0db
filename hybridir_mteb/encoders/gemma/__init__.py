"""The backbone ``gemma3-270m``: Gemma 3 270M, a decoder, from the GGUF file of a package."""
