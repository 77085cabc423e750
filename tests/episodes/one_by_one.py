"""The definition of a draw in plain Python, one episode after the other: exchanges are made, lists are filtered."""

import hashlib

MASK = 2**32 - 1
CLASS_SLOT = 511


def threefry(key, counter):
    """Threefry-2x32 with 20 rounds, as in the paper's Figure 2 (Salmon et al., SC 2011)."""
    rotations = [13, 15, 26, 6, 17, 29, 16, 24]
    keys = [*key, 0x1BD11BDA ^ key[0] ^ key[1]]
    x, y = (counter[0] + keys[0]) & MASK, (counter[1] + keys[1]) & MASK
    for number in range(20):
        x = (x + y) & MASK
        y = ((y << rotations[number % 8]) | (y >> (32 - rotations[number % 8]))) & MASK ^ x
        if number % 4 == 3:
            turn = number // 4 + 1
            x, y = (x + keys[turn % 3]) & MASK, (y + keys[(turn + 1) % 3] + turn) & MASK
    return x, y


def stream_key(seed, digest):
    digits = hashlib.sha256("\x1f".join([str(seed), digest, "episodes"]).encode()).hexdigest()
    return int(digits[:8], 16), int(digits[8:16], 16)


class Stream:
    """The random words of one episode."""

    def __init__(self, key, episode):
        self.key, self.episode = key, episode

    def word(self, slot, position, attempt=0, which=0):
        key = (self.key[0], (self.key[1] + attempt) & MASK)
        return threefry(key, (self.episode, slot * 2**16 + position))[which]

    def shuffled(self, entries, m, slot, first_position=0, attempt=0):
        """The first m entries of a random order: Fisher and Yates."""
        entries = list(entries)
        for j in range(m):
            place = j + self.word(slot, first_position + j, attempt) * (len(entries) - j) // 2**32
            entries[j], entries[place] = entries[place], entries[j]
        return entries[:m]


def draw_episode(table, protocol, episode, support_draws=1_000):
    """Clips and segment numbers of one episode, n_way x (k_shot + n_query), supports first; and how often supports and
    classes were drawn again (None where the tries are used up)."""
    stream = Stream(stream_key(protocol.seed, table.digest), episode)
    n_way, k_shot, n_query, shots = protocol.n_way, protocol.k_shot, protocol.n_query, protocol.shots_drawn
    by_class = [[row for row in range(len(table)) if table.class_name[row] == name] for name in table.classes]
    positions = [*range(n_query, n_query + k_shot), *range(n_query)]
    segments = [[(stream.word(w, p, which=1) >> 9) / 2**23 for p in positions] for w in range(n_way)]
    if not protocol.group_aware:
        classes = stream.shuffled(by_class, n_way, CLASS_SLOT)
        orders = [stream.shuffled(clips, n_query + k_shot, w) for w, clips in enumerate(classes)]
        return [[order[p] for p in positions] for order in orders], segments, 0, 0

    names = sorted({name for name in table.group.tolist() if name})
    group = {row: (0, names.index(name)) if (name := table.group[row]) else (1, row) for row in range(len(table))}
    by_class = [sorted(clips, key=lambda row: (group[row], row)) for clips in by_class]
    where = [{group[row] for row in clips} for clips in by_class]
    across = any(a & b for i, a in enumerate(where) for b in where[:i])
    redraws = 0
    for class_attempt in range(16):
        classes = stream.shuffled(by_class, n_way, CLASS_SLOT, attempt=class_attempt)
        attempts = [class_attempt * support_draws] * n_way

        def left():
            """Each slot's support, and the clips of its class that are left for queries."""
            supports = [
                stream.shuffled(clips, shots, w, n_query, attempts[w])  # noqa: B023
                for w, clips in enumerate(classes)  # noqa: B023
            ]
            taken = [{group[row] for row in support} for support in supports]
            excluded = [set().union(*taken)] * n_way if across else taken
            allowed = [[row for row in clips if group[row] not in excluded[w]] for w, clips in enumerate(classes)]  # noqa: B023
            return supports, allowed

        while True:
            supports, allowed = left()
            short = [len(rows) < n_query for rows in allowed]
            if not any(short):
                queries = [stream.shuffled(rows, n_query, w) for w, rows in enumerate(allowed)]
                clips = [support[:k_shot] + query for support, query in zip(supports, queries, strict=True)]
                return clips, segments, redraws, class_attempt
            again = [any(short) if across else one for one in short]
            redraws += sum(again)
            attempts = [a + one for a, one in zip(attempts, again, strict=True)]
            if max(attempts) >= (class_attempt + 1) * support_draws:
                break
    return None
