"""A parallel collection of nonsense."""

from hybridir_mteb.collections.collection import LanguagePart, ParallelCollection, Passage, Query


def toy_collection() -> ParallelCollection:
    """Three languages, three facts; the third is missing in French."""
    texts = {
        "en": ["the cat sleeps", "the dog runs", "the bird sings"],
        "de": ["die Katze schläft", "der Hund rennt", "der Vogel singt"],
        "fr": ["le chat dort", "le chien court"],
    }
    parts = {}
    for code, sentences in texts.items():
        queries = [
            Query(f"f{at}", f"{sentence}?", (2 * at,)) for at, sentence in enumerate(sentences)
        ]
        passages = [
            Passage(f"{at}.{kind}", f"{sentence}{suffix}", f"{sentence}. {sentence} elsewhere.")
            for at, sentence in enumerate(sentences)
            for kind, suffix in enumerate([".", " elsewhere."])
        ]
        parts[code] = LanguagePart(code, tuple(queries), tuple(passages))
    return ParallelCollection("Toy", parts)
