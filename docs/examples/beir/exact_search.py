"""The same evaluation with our exact search, and with embeddings that are kept in files.

python exact_search.py FOLDER EMBEDDINGS [ENCODER] [SPLIT]

EMBEDDINGS is a folder; a second run finds them there and encodes nothing.
"""

import sys

from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval

from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.beir.search import ExactSearch

folder, embeddings = sys.argv[1:3]
encoder = sys.argv[3] if len(sys.argv) > 3 else "hybridir/pocket-hybrid"
split = sys.argv[4] if len(sys.argv) > 4 else "test"

corpus, queries, qrels = GenericDataLoader(folder).load(split=split)
search = ExactSearch(BeirEncoder(encoder), score_function="cos_sim", show_progress_bar=False)
retriever = EvaluateRetrieval(search)

results = retriever.encode_and_retrieve(corpus, queries, encode_output_path=embeddings)
ndcg, _map, recall, precision = retriever.evaluate(qrels, results, retriever.k_values)
mrr = retriever.evaluate_custom(qrels, results, [10], metric="mrr")
for measures in (ndcg, _map, recall, precision, mrr):
    for name, value in measures.items():
        print(f"{name}: {value}")
