"""pandas, networkx and deap, as their documentation uses a pool."""

import random

import networkx as nx
import pandas as pd
from client import compare, context
from deap import algorithms, base, creator, tools

TABLE = pd.DataFrame({"key": list("abcab") * 40, "value": range(200)})
GRAPH = nx.gnm_random_graph(30, 60, seed=2)

creator.create("Best", base.Fitness, weights=(1.0,))
creator.create("Bits", list, fitness=creator.Best)


def summarise(group):
    return group["value"].describe()


def central(nodes):
    return nx.betweenness_centrality_subset(GRAPH, nodes, list(GRAPH.nodes), normalized=True)


def count(bits):
    return (sum(bits),)


def evolve(map_):
    random.seed(4)
    box = base.Toolbox()
    box.register("bits", tools.initRepeat, creator.Bits, lambda: random.randint(0, 1), n=30)
    box.register("population", tools.initRepeat, list, box.bits)
    box.register("evaluate", count)
    box.register("mate", tools.cxTwoPoint)
    box.register("mutate", tools.mutFlipBit, indpb=0.05)
    box.register("select", tools.selTournament, tournsize=3)
    box.register("map", map_)
    last, _ = algorithms.eaSimple(box.population(n=20), box, 0.5, 0.2, 4, verbose=False)
    return [list(bits) for bits in last]


def work(map_):
    groups = [group for _, group in TABLE.groupby("key")]
    tables = [summary.to_dict() for summary in map_(summarise, groups)]
    nodes = [[node] for node in GRAPH.nodes]
    return tables, list(map_(central, nodes)), evolve(map_)


def alone():
    return work(map)


def together():
    with context().Pool(2) as pool:
        return work(pool.map)


if __name__ == "__main__":
    compare(alone, together)
