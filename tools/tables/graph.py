"""Ways through a graph {node: targets}; the arithmetic behind architecture.py."""


def shortest_way(graph, start, goal):
    """[start, ..., goal] over at least one arrow, or None. Of equally short ways, the first in the order of names."""
    ways, reached = [[start]], set()
    for way in ways:  # grows while it is read: breadth first
        for target in sorted(graph.get(way[-1], ())):
            if target == goal:
                return [*way, goal]
            if target not in reached:
                reached.add(target)
                ways.append([*way, target])
    return None


def find_circles(graph):
    """[[node, ..., the same node]]: for each group of nodes that reach one another, a shortest circle."""
    circles, seen = [], set()
    for start in sorted(graph):
        circle = None if start in seen else shortest_way(graph, start, start)
        if circle:
            seen |= set(circle)
            circles.append(circle)
    return circles


def without_shortcuts(pairs):
    """The (source, target) pairs less those whose target is also reached from their source over other pairs."""
    graph = {}
    for source, target in pairs:
        graph.setdefault(source, set()).add(target)
    for source, target in sorted(pairs):
        graph[source].remove(target)
        if not shortest_way(graph, source, target):
            graph[source].add(target)
    return {(source, target) for source, target in pairs if target in graph[source]}
