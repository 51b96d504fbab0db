"""The steps of BEIR's dense evaluation; the line of the model is the one that names our encoder.

python evaluate_dense.py DATA [ENCODER] [SPLIT]

DATA is a folder in BEIR's layout, such as `hybridir export beir` writes, or the address of a zip
file of one, such as BEIR's own sets have; it is unpacked in ./datasets.
"""

import logging
import sys

from beir import LoggingHandler, util
from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch as DRES  # noqa: N817

from hybridir_mteb.adapters.beir.encoder import BeirEncoder

logging.basicConfig(format="%(message)s", level=logging.INFO, handlers=[LoggingHandler()])

data = sys.argv[1]
encoder = sys.argv[2] if len(sys.argv) > 2 else "hybridir/pocket-hybrid"
split = sys.argv[3] if len(sys.argv) > 3 else "test"

# Passages, queries and judgements.
folder = util.download_and_unzip(data, "datasets") if "://" in data else data
corpus, queries, qrels = GenericDataLoader(folder).load(split=split)

# The model. With an encoder of BEIR: DRES(models.SentenceBERT("..."), batch_size=16)
model = DRES(BeirEncoder(encoder), batch_size=16, show_progress_bar=False)
retriever = EvaluateRetrieval(model, score_function="cos_sim")

# Search, then measures at 1, 3, 5, 10, 100 and 1000.
results = retriever.retrieve(corpus, queries)
ndcg, _map, recall, precision = retriever.evaluate(qrels, results, retriever.k_values)
mrr, recall_cap, hole = (
    retriever.evaluate_custom(qrels, results, retriever.k_values, metric=metric)
    for metric in ("mrr", "r_cap", "hole")
)
for measures in (ndcg, _map, recall, precision, mrr, recall_cap, hole):
    for name, value in measures.items():
        print(f"{name}: {value}")

# The best passages of one query.
query_id, scores = next(iter(results.items()))
print(f"\nQuery {query_id}: {queries[query_id]}")
best = sorted(scores.items(), key=lambda hit: hit[1], reverse=True)[:10]
for rank, (passage_id, score) in enumerate(best, 1):
    passage = corpus[passage_id]
    print(f"{rank:2} {score:.4f} {passage_id}: {passage.get('title') or passage['text'][:80]}")
