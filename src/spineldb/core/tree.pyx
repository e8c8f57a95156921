"""A counted blocked B+tree of (score, member): the order of large sorted sets.

The problem: a skip list costs a cache miss and two branches for every step, and 40 bytes a member.
The idea: leaves of up to 122 elements, each a score and the 32-bit reference of the member's entry,
and nodes above them that know each child's first element and how many elements it holds.

    inner    scores[n] firsts[n]   the first element of each child
             children[n] counts[n]
    leaf     scores[n] refs[n]     and the leaves on both sides

So a search reads one cache line or two per level (scores are compared where they stand; a member's
entry is only read when scores are equal), a rank is the sum of the counts passed, and a range walks
along leaves while entries further on are being fetched.

Elements that arrive in order fill their leaves: a leaf that overflows at an end of the tree is not
halved, the newcomer gets a leaf of its own.

Invariants
- elements are in order of (score, member's bytes), scores compared exactly;
- a node's score and first are those of its child's first element, its count the child's elements;
- nodes are never empty; only the root may have less than its full capacity;
- memory is taken before anything moves: whoever runs out of it has changed nothing.
"""

from libc.string cimport memcpy, memmove

from spineldb.core.slab cimport slab_alloc, slab_free, slab_move, slab_sparse

cdef int[4] LEAF_STEPS = [8, 24, 56, LEAF_MAX]       # capacities of a root that is a leaf,
cdef int[4] INNER_STEPS = [4, 16, 64, INNER_MAX]     # and of one that is not

cdef struct Path:                # from the root down to an element
    Inner* nodes[LEVELS_MAX]
    Ref refs[LEVELS_MAX]
    int slots[LEVELS_MAX]        # which child
    Leaf* leaf
    Ref leaf_ref
    int index


cdef inline size_t leaf_bytes(int capacity) noexcept nogil:
    return sizeof(Leaf) + <size_t>capacity * (sizeof(double) + sizeof(Ref))


cdef inline size_t inner_bytes(int capacity) noexcept nogil:
    return sizeof(Inner) + <size_t>capacity * (sizeof(double) + 3 * sizeof(Ref))


cdef inline double* inner_scores(const Inner* node) noexcept nogil:
    return <double*>(node + 1)


cdef inline Ref* inner_firsts(const Inner* node) noexcept nogil:
    return <Ref*>(inner_scores(node) + node.capacity)


cdef inline Ref* inner_children(const Inner* node) noexcept nogil:
    return inner_firsts(node) + node.capacity


cdef inline uint32_t* inner_counts(const Inner* node) noexcept nogil:
    return <uint32_t*>(inner_children(node) + node.capacity)


cdef int step_above(const int* steps, int capacity) noexcept nogil:
    cdef int i = 0
    while steps[i] <= capacity:
        i += 1
    return steps[i]


cdef Ref leaf_new(Slabs* slabs, int capacity) noexcept nogil:
    cdef Ref ref = slab_alloc(slabs, leaf_bytes(capacity))
    cdef Leaf* leaf
    if ref:
        leaf = <Leaf*>at(slabs, ref)
        leaf.previous = leaf.next = 0
        leaf.count = 0
        leaf.capacity = <uint16_t>capacity
        leaf.reserved = 0
    return ref


cdef Ref inner_new(Slabs* slabs, int capacity) noexcept nogil:
    cdef Ref ref = slab_alloc(slabs, inner_bytes(capacity))
    cdef Inner* node
    if ref:
        node = <Inner*>at(slabs, ref)
        node.count = 0
        node.capacity = <uint16_t>capacity
        node.reserved = 0
    return ref


# -- searching ---------------------------------------------------------------------------------

cdef int count_before(const Slabs* slabs, const double* scores, const Ref* refs, int count,
                      const Bound* bound) noexcept nogil:
    """How many of these elements lie before a bound."""
    cdef int low = 0
    cdef int high = count
    cdef int middle
    cdef double score = bound.score
    cdef const char* member
    cdef size_t size
    if bound.kind == AT_SCORE or bound.kind == AFTER_SCORE:
        while low < high:
            middle = (low + high) >> 1
            if scores[middle] < score or (
                scores[middle] == score and bound.kind == AFTER_SCORE
            ):
                low = middle + 1
            else:
                high = middle
        return low
    if bound.kind == AT_START:
        return 0
    if bound.kind == AT_END:
        return count
    while low < high:
        middle = (low + high) >> 1
        if bound.kind == AT_ELEMENT and scores[middle] != score:
            if scores[middle] < score:
                low = middle + 1
            else:
                high = middle
            continue
        member = member_of(<const uint8_t*>at(slabs, refs[middle]), &size)
        if precedes(scores[middle], member, size, bound):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int child_of(const Slabs* slabs, const Inner* node, const Bound* bound) noexcept nogil:
    """The child in which a bound lies: the last that begins before it."""
    cdef int before = count_before(
        slabs, inner_scores(node), inner_firsts(node), node.count, bound)
    return before - 1 if before else 0


cdef inline void fetch_node(const void* node, int capacity) noexcept nogil:
    """Fetch what a search of a full node looks at first: its head, and the scores in its middle.

    ZRANK of a million members: while the counts of the node above are added up.
    """
    cdef const double* scores = <const double*>(<const Inner*>node + 1)
    fetch(node)
    fetch(scores + capacity // 2)
    fetch(scores + capacity // 4)
    fetch(scores + capacity * 3 // 4)


cdef void descend(const Tree* tree, const Bound* bound, Path* path) noexcept nogil:
    cdef Ref ref = tree.root
    cdef Inner* node
    cdef int level, slot
    for level in range(tree.height):
        node = <Inner*>at(tree.slabs, ref)
        slot = child_of(tree.slabs, node, bound)
        path.nodes[level] = node
        path.refs[level] = ref
        path.slots[level] = slot
        ref = inner_children(node)[slot]
    path.leaf_ref = ref
    path.leaf = <Leaf*>at(tree.slabs, ref)
    path.index = count_before(
        tree.slabs, leaf_scores(path.leaf), leaf_refs(path.leaf), path.leaf.count, bound)


cdef void bound_at(Bound* bound, const Slabs* slabs, double score, Ref ref) noexcept nogil:
    bound.kind = AT_ELEMENT
    bound.score = score
    bound.member = member_of(<const uint8_t*>at(slabs, ref), &bound.size)


cdef int64_t tree_rank(const Tree* tree, const Bound* bound, Spot* spot) noexcept nogil:
    cdef Ref ref = tree.root
    cdef const Inner* node
    cdef const uint32_t* counts
    cdef Leaf* leaf
    cdef int64_t rank = 0
    cdef int level = tree.height
    cdef int slot, i
    if ref == 0:
        if spot is not NULL:
            spot.leaf = NULL
        return 0
    while level:
        node = <const Inner*>at(tree.slabs, ref)
        slot = child_of(tree.slabs, node, bound)
        counts = inner_counts(node)
        ref = inner_children(node)[slot]
        level -= 1
        fetch_node(at(tree.slabs, ref), INNER_MAX if level else LEAF_MAX)
        for i in range(slot):
            rank += counts[i]
    leaf = <Leaf*>at(tree.slabs, ref)
    i = count_before(tree.slabs, leaf_scores(leaf), leaf_refs(leaf), leaf.count, bound)
    rank += i
    if spot is not NULL:
        if i == leaf.count:
            leaf = <Leaf*>at(tree.slabs, leaf.next) if leaf.next else NULL
            i = 0
        spot.leaf = leaf
        spot.index = i
    return rank


cdef void path_at(const Tree* tree, int64_t rank, Path* path) noexcept nogil:
    cdef Ref ref = tree.root
    cdef Inner* node
    cdef const uint32_t* counts
    cdef int level, slot
    for level in range(tree.height):
        node = <Inner*>at(tree.slabs, ref)
        counts = inner_counts(node)
        slot = 0
        while rank >= counts[slot]:
            rank -= counts[slot]
            slot += 1
        path.nodes[level] = node
        path.refs[level] = ref
        path.slots[level] = slot
        ref = inner_children(node)[slot]
    path.leaf_ref = ref
    path.leaf = <Leaf*>at(tree.slabs, ref)
    path.index = <int>rank


cdef void tree_at(const Tree* tree, int64_t rank, Spot* spot) noexcept nogil:
    cdef Path path
    path_at(tree, rank, &path)
    spot.leaf = path.leaf
    spot.index = path.index


# -- inserting ---------------------------------------------------------------------------------

cdef void leaf_put(Leaf* leaf, int index, double score, Ref ref) noexcept nogil:
    cdef double* scores = leaf_scores(leaf)
    cdef Ref* refs = leaf_refs(leaf)
    cdef size_t behind = leaf.count - index
    memmove(scores + index + 1, scores + index, behind * sizeof(double))
    memmove(refs + index + 1, refs + index, behind * sizeof(Ref))
    scores[index] = score
    refs[index] = ref
    leaf.count += 1


cdef void leaf_move(Leaf* target, int to, const Leaf* source, int start, int count) noexcept nogil:
    """Copy elements of one leaf into another, whose count is the caller's to correct."""
    memcpy(leaf_scores(target) + to, leaf_scores(source) + start, count * sizeof(double))
    memcpy(leaf_refs(target) + to, leaf_refs(source) + start, count * sizeof(Ref))


cdef struct Child:               # what a node knows of one
    double score
    Ref first
    Ref ref
    uint32_t count


cdef void inner_put(Inner* node, int index, const Child* child) noexcept nogil:
    cdef size_t behind = node.count - index
    cdef double* scores = inner_scores(node) + index
    cdef Ref* firsts = inner_firsts(node) + index
    cdef Ref* children = inner_children(node) + index
    cdef uint32_t* counts = inner_counts(node) + index
    memmove(scores + 1, scores, behind * sizeof(double))
    memmove(firsts + 1, firsts, behind * sizeof(Ref))
    memmove(children + 1, children, behind * sizeof(Ref))
    memmove(counts + 1, counts, behind * sizeof(uint32_t))
    scores[0] = child.score
    firsts[0] = child.first
    children[0] = child.ref
    counts[0] = child.count
    node.count += 1


cdef void inner_move(Inner* target, int to, const Inner* source, int start,
                     int count) noexcept nogil:
    memcpy(inner_scores(target) + to, inner_scores(source) + start, count * sizeof(double))
    memcpy(inner_firsts(target) + to, inner_firsts(source) + start, count * sizeof(Ref))
    memcpy(inner_children(target) + to, inner_children(source) + start, count * sizeof(Ref))
    memcpy(inner_counts(target) + to, inner_counts(source) + start, count * sizeof(uint32_t))


cdef uint32_t inner_total(const Inner* node) noexcept nogil:
    cdef uint32_t total = 0
    cdef int i
    for i in range(node.count):
        total += inner_counts(node)[i]
    return total


cdef void correct_firsts(const Tree* tree, const Path* path, int level, double score,
                         Ref first) noexcept nogil:
    """The child at `level` of a path begins with another element now."""
    while level >= 0:
        inner_scores(path.nodes[level])[path.slots[level]] = score
        inner_firsts(path.nodes[level])[path.slots[level]] = first
        if path.slots[level]:
            return
        level -= 1


cdef int tree_insert(Tree* tree, double score, Ref ref) except -1:
    cdef Bound bound
    cdef Path path
    cdef Ref bigger
    cdef Leaf* leaf
    cdef int level
    bound_at(&bound, tree.slabs, score, ref)
    if tree.root == 0:
        tree.root = leaf_new(tree.slabs, LEAF_STEPS[0])
        if tree.root == 0:
            raise MemoryError
        tree.first = tree.last = tree.root
    descend(tree, &bound, &path)
    leaf = path.leaf
    if leaf.count == leaf.capacity:
        if leaf.capacity == LEAF_MAX:
            return split(tree, &path, score, ref)
        bigger = leaf_new(tree.slabs, step_above(LEAF_STEPS, leaf.capacity))
        if bigger == 0:
            raise MemoryError
        path.leaf = <Leaf*>at(tree.slabs, bigger)
        leaf_move(path.leaf, 0, leaf, 0, leaf.count)
        path.leaf.count = leaf.count
        slab_free(tree.slabs, tree.root, leaf_bytes(leaf.capacity))
        tree.root = tree.first = tree.last = bigger
    leaf_put(path.leaf, path.index, score, ref)
    for level in range(tree.height):
        inner_counts(path.nodes[level])[path.slots[level]] += 1
    if path.index == 0:
        correct_firsts(tree, &path, tree.height - 1, score, ref)
    return 0


cdef int split(Tree* tree, Path* path, double score, Ref ref) except -1:
    """Insert into a leaf that is full."""
    cdef Slabs* slabs = tree.slabs
    cdef Ref[LEVELS_MAX + 2] spare   # nodes for what must be split, then the root's, if it changes
    cdef int spares = 0
    cdef int level = tree.height - 1
    cdef int capacity = 0            # of a new or greater root
    cdef Ref right_ref = leaf_new(slabs, LEAF_MAX)
    cdef bint failed = right_ref == 0
    while level >= 0 and path.nodes[level].count == INNER_MAX:
        level -= 1
    if level < 0:
        capacity = INNER_STEPS[0]
    elif path.nodes[level].count == path.nodes[level].capacity:
        capacity = step_above(INNER_STEPS, path.nodes[level].capacity)
    while not failed and spares < tree.height - 1 - level:
        spare[spares] = inner_new(slabs, INNER_MAX)
        failed = spare[spares] == 0
        spares += not failed
    if capacity and not failed:
        spare[spares] = inner_new(slabs, capacity)
        failed = spare[spares] == 0
    if failed:
        while spares:
            spares -= 1
            slab_free(slabs, spare[spares], inner_bytes(INNER_MAX))
        if right_ref:
            slab_free(slabs, right_ref, leaf_bytes(LEAF_MAX))
        raise MemoryError
    split_leaf(tree, path, score, ref, right_ref, spare, capacity)
    return 0


cdef void split_leaf(Tree* tree, Path* path, double score, Ref ref, Ref right_ref,
                     const Ref* spare, int capacity) noexcept nogil:
    """Do it, now that there is memory for all."""
    cdef Slabs* slabs = tree.slabs
    cdef Leaf* leaf = path.leaf
    cdef Leaf* right = <Leaf*>at(slabs, right_ref)
    cdef Child carry
    cdef int kept = leaf.count // 2
    if path.index == leaf.count and leaf.next == 0:
        kept = leaf.count
    elif path.index == 0 and leaf.previous == 0:
        kept = 0
    right.count = <uint16_t>(leaf.count - kept)
    leaf_move(right, 0, leaf, kept, right.count)
    leaf.count = <uint16_t>kept
    right.previous = path.leaf_ref
    right.next = leaf.next
    if leaf.next:
        (<Leaf*>at(slabs, leaf.next)).previous = right_ref
    else:
        tree.last = right_ref
    leaf.next = right_ref
    if path.index < kept or kept == 0:
        leaf_put(leaf, path.index, score, ref)
    else:
        leaf_put(right, path.index - kept, score, ref)
    carry.score = leaf_scores(right)[0]
    carry.first = leaf_refs(right)[0]
    carry.ref = right_ref
    carry.count = right.count
    climb(tree, path, &carry, spare, capacity)
    if path.index == 0:
        descend_firsts(tree, leaf)


cdef void descend_firsts(Tree* tree, const Leaf* leaf) noexcept nogil:
    """The tree's first element is a new one: tell the nodes on its left edge."""
    cdef Inner* node
    cdef Ref ref = tree.root
    for _ in range(tree.height):
        node = <Inner*>at(tree.slabs, ref)
        inner_scores(node)[0] = leaf_scores(leaf)[0]
        inner_firsts(node)[0] = leaf_refs(leaf)[0]
        ref = inner_children(node)[0]


cdef void climb(Tree* tree, Path* path, Child* carry, const Ref* spare,
                int capacity) noexcept nogil:
    """Give a new child to the node above, level by level as long as that one has to split."""
    cdef Slabs* slabs = tree.slabs
    cdef uint32_t left = path.leaf.count     # elements of the child that was split
    cdef int level = tree.height - 1
    cdef Inner* node
    cdef Inner* right
    cdef Ref ref
    cdef Child root
    cdef int index, kept
    while level >= 0:
        node = path.nodes[level]
        index = path.slots[level] + 1
        inner_counts(node)[index - 1] = left
        if node.count < INNER_MAX:
            break
        ref = spare[0]
        spare += 1
        right = <Inner*>at(slabs, ref)
        kept = node.count // 2
        if index == node.count:
            kept = index
        elif index == 1:
            kept = 1
        right.count = <uint16_t>(node.count - kept)
        inner_move(right, 0, node, kept, right.count)
        node.count = <uint16_t>kept
        if index < kept:
            inner_put(node, index, carry)
        else:
            inner_put(right, index - kept, carry)
        left = inner_total(node)
        carry.score = inner_scores(right)[0]
        carry.first = inner_firsts(right)[0]
        carry.ref = ref
        carry.count = inner_total(right)
        level -= 1
    if level < 0:                            # the root itself was split
        node = <Inner*>at(slabs, spare[0])
        if tree.height:
            root.score = inner_scores(path.nodes[0])[0]
            root.first = inner_firsts(path.nodes[0])[0]
        else:
            root.score = leaf_scores(path.leaf)[0]
            root.first = leaf_refs(path.leaf)[0]
        root.ref = tree.root
        root.count = left
        inner_put(node, 0, &root)
        inner_put(node, 1, carry)
        tree.root = spare[0]
        tree.height += 1
        return
    if capacity:                             # the root gets room
        right = <Inner*>at(slabs, spare[0])
        inner_move(right, 0, node, 0, node.count)
        right.count = node.count
        slab_free(slabs, tree.root, inner_bytes(node.capacity))
        tree.root = spare[0]
        node = right
    inner_put(node, index, carry)
    while level > 0:
        level -= 1
        inner_counts(path.nodes[level])[path.slots[level]] += 1


# -- removing ----------------------------------------------------------------------------------

cdef void tree_remove(Tree* tree, double score, Ref ref) noexcept nogil:
    cdef Bound bound
    cdef Path path
    bound_at(&bound, tree.slabs, score, ref)
    descend(tree, &bound, &path)
    settle_on(tree, &path)
    remove(tree, &path)


cdef Ref tree_remove_at(Tree* tree, int64_t rank) noexcept nogil:
    cdef Path path
    cdef Ref ref
    path_at(tree, rank, &path)
    ref = leaf_refs(path.leaf)[path.index]
    remove(tree, &path)
    return ref


cdef void remove(Tree* tree, Path* path) noexcept nogil:
    cdef Leaf* leaf = path.leaf
    cdef double* scores = leaf_scores(leaf) + path.index
    cdef Ref* refs = leaf_refs(leaf) + path.index
    cdef size_t behind = leaf.count - path.index - 1
    cdef int level
    memmove(scores, scores + 1, behind * sizeof(double))
    memmove(refs, refs + 1, behind * sizeof(Ref))
    leaf.count -= 1
    for level in range(tree.height):
        inner_counts(path.nodes[level])[path.slots[level]] -= 1
    if leaf.count == 0:
        leaf_unlink(tree, leaf)
        slab_free(tree.slabs, path.leaf_ref, leaf_bytes(leaf.capacity))
        if tree.height == 0:
            tree.root = 0
        else:
            child_gone(tree, path, tree.height - 1, path.slots[tree.height - 1])
        return
    if path.index == 0:
        correct_firsts(tree, path, tree.height - 1, leaf_scores(leaf)[0], leaf_refs(leaf)[0])
    if leaf.count < LEAF_MAX // 4 and tree.height:
        merge_leaf(tree, path)


cdef inline void settle_on(const Tree* tree, Path* path) noexcept nogil:
    """The path of an element that begins a leaf ends behind the leaf before: step over."""
    cdef int level = tree.height - 1
    cdef Inner* node
    cdef Ref ref
    if path.index < path.leaf.count:
        return
    while path.slots[level] + 1 == path.nodes[level].count:
        level -= 1
    path.slots[level] += 1
    ref = inner_children(path.nodes[level])[path.slots[level]]
    level += 1
    while level < tree.height:
        node = <Inner*>at(tree.slabs, ref)
        path.nodes[level] = node
        path.refs[level] = ref
        path.slots[level] = 0
        ref = inner_children(node)[0]
        level += 1
    path.leaf_ref = ref
    path.leaf = <Leaf*>at(tree.slabs, ref)
    path.index = 0


cdef void leaf_unlink(Tree* tree, const Leaf* leaf) noexcept nogil:
    if leaf.previous:
        (<Leaf*>at(tree.slabs, leaf.previous)).next = leaf.next
    else:
        tree.first = leaf.next
    if leaf.next:
        (<Leaf*>at(tree.slabs, leaf.next)).previous = leaf.previous
    else:
        tree.last = leaf.previous


cdef void inner_cut(Inner* node, int index) noexcept nogil:
    cdef size_t behind = node.count - index - 1
    cdef double* scores = inner_scores(node) + index
    cdef Ref* firsts = inner_firsts(node) + index
    cdef Ref* children = inner_children(node) + index
    cdef uint32_t* counts = inner_counts(node) + index
    memmove(scores, scores + 1, behind * sizeof(double))
    memmove(firsts, firsts + 1, behind * sizeof(Ref))
    memmove(children, children + 1, behind * sizeof(Ref))
    memmove(counts, counts + 1, behind * sizeof(uint32_t))
    node.count -= 1


cdef void child_gone(Tree* tree, Path* path, int level, int slot) noexcept nogil:
    """A child of the node at `level` was freed. The node may become empty, or merge."""
    cdef Slabs* slabs = tree.slabs
    cdef Inner* node = path.nodes[level]
    cdef Inner* parent
    cdef Inner* left
    cdef Inner* right
    cdef Ref ref
    cdef int at_slot
    inner_cut(node, slot)
    if node.count == 0:
        slab_free(slabs, path.refs[level], inner_bytes(node.capacity))
        if level == 0:
            tree.root = 0
            tree.height = 0
        else:
            child_gone(tree, path, level - 1, path.slots[level - 1])
        return
    if slot == 0:
        correct_firsts(tree, path, level - 1, inner_scores(node)[0], inner_firsts(node)[0])
    if level == 0:
        while tree.height and (<Inner*>at(slabs, tree.root)).count == 1:
            node = <Inner*>at(slabs, tree.root)
            ref = inner_children(node)[0]
            slab_free(slabs, tree.root, inner_bytes(node.capacity))
            tree.root = ref
            tree.height -= 1
        return
    if node.count >= INNER_MAX // 4:
        return
    parent = path.nodes[level - 1]
    at_slot = path.slots[level - 1]
    if at_slot + 1 == parent.count:
        at_slot -= 1
    if at_slot < 0:
        return
    left = <Inner*>at(slabs, inner_children(parent)[at_slot])
    ref = inner_children(parent)[at_slot + 1]
    right = <Inner*>at(slabs, ref)
    if left.count + right.count > INNER_MAX * 3 // 4:
        return
    inner_move(left, left.count, right, 0, right.count)
    left.count += right.count
    inner_counts(parent)[at_slot] += inner_counts(parent)[at_slot + 1]
    slab_free(slabs, ref, inner_bytes(right.capacity))
    child_gone(tree, path, level - 1, at_slot + 1)


cdef void merge_leaf(Tree* tree, Path* path) noexcept nogil:
    """Let a leaf that has few elements join a neighbour that has room."""
    cdef Slabs* slabs = tree.slabs
    cdef int level = tree.height - 1
    cdef Inner* parent = path.nodes[level]
    cdef int slot = path.slots[level]
    cdef Leaf* left
    cdef Leaf* right
    cdef Ref ref
    if slot + 1 == parent.count:
        slot -= 1
    if slot < 0:
        return
    left = <Leaf*>at(slabs, inner_children(parent)[slot])
    ref = inner_children(parent)[slot + 1]
    right = <Leaf*>at(slabs, ref)
    if left.count + right.count > LEAF_MAX * 3 // 4:
        return
    leaf_move(left, left.count, right, 0, right.count)
    left.count += right.count
    inner_counts(parent)[slot] = left.count
    leaf_unlink(tree, right)
    slab_free(slabs, ref, leaf_bytes(right.capacity))
    child_gone(tree, path, level, slot + 1)


# -- changing in place -------------------------------------------------------------------------

cdef bint tree_rescore(Tree* tree, double score, Ref ref, double new) noexcept nogil:
    cdef Bound bound
    cdef Path path
    cdef double* scores
    bound_at(&bound, tree.slabs, score, ref)
    descend(tree, &bound, &path)
    settle_on(tree, &path)
    scores = leaf_scores(path.leaf)
    if path.index and not scores[path.index - 1] < new:
        return False
    if path.index == 0 and path.leaf.previous:
        return False
    if path.index + 1 < path.leaf.count and not new < scores[path.index + 1]:
        return False
    if path.index + 1 == path.leaf.count and path.leaf.next:
        return False
    put_score(tree, &path, ref, new)
    return True


cdef void tree_reset(Tree* tree, double score, Ref ref, double new) noexcept nogil:
    cdef Bound bound
    cdef Path path
    bound_at(&bound, tree.slabs, score, ref)
    descend(tree, &bound, &path)
    settle_on(tree, &path)
    put_score(tree, &path, ref, new)


cdef inline void put_score(Tree* tree, const Path* path, Ref ref, double score) noexcept nogil:
    leaf_scores(path.leaf)[path.index] = score
    if path.index == 0:
        correct_firsts(tree, path, tree.height - 1, score, ref)


cdef void tree_replace(Tree* tree, double score, Ref old, Ref new) noexcept nogil:
    cdef Bound bound
    cdef Path path
    bound_at(&bound, tree.slabs, score, old)
    descend(tree, &bound, &path)
    settle_on(tree, &path)
    leaf_refs(path.leaf)[path.index] = new
    if path.index == 0:
        correct_firsts(tree, &path, tree.height - 1, score, new)


# -- as a whole --------------------------------------------------------------------------------

cdef void free_inner(Tree* tree, Ref ref, int levels) noexcept nogil:
    cdef Inner* node = <Inner*>at(tree.slabs, ref)
    cdef int i
    if levels > 1:
        for i in range(node.count):
            free_inner(tree, inner_children(node)[i], levels - 1)
    slab_free(tree.slabs, ref, inner_bytes(node.capacity))


cdef bint tree_drain(Tree* tree, int64_t limit) noexcept nogil:
    """Frees leaves from the first on; the nodes above, which stay, are not looked into."""
    cdef Ref ref
    cdef Leaf* leaf
    while tree.first:
        if limit <= 0:
            return False
        limit -= 1
        ref = tree.first
        leaf = <Leaf*>at(tree.slabs, ref)
        tree.first = leaf.next
        slab_free(tree.slabs, ref, leaf_bytes(leaf.capacity))
    if tree.height:
        free_inner(tree, tree.root, tree.height)
    tree.root = 0
    tree.height = 0
    return True


cdef int tree_defragment(Tree* tree, int64_t rank, int64_t* moved) noexcept nogil:
    cdef Path path
    cdef Ref ref
    cdef Leaf* leaf
    path_at(tree, rank, &path)
    if not slab_sparse(tree.slabs, path.leaf_ref):
        return path.leaf.count
    ref = slab_move(tree.slabs, path.leaf_ref, leaf_bytes(path.leaf.capacity))
    if ref == 0:
        return path.leaf.count
    moved[0] += 1
    leaf = <Leaf*>at(tree.slabs, ref)
    if leaf.previous:
        (<Leaf*>at(tree.slabs, leaf.previous)).next = ref
    else:
        tree.first = ref
    if leaf.next:
        (<Leaf*>at(tree.slabs, leaf.next)).previous = ref
    else:
        tree.last = ref
    if tree.height:
        inner_children(path.nodes[tree.height - 1])[path.slots[tree.height - 1]] = ref
    else:
        tree.root = ref
    return leaf.count


# -- for tests ---------------------------------------------------------------------------------

cdef list tree_faults(const Tree* tree, int64_t count):
    """What contradicts the invariants above, in words; empty when all is well."""
    cdef list faults = []
    cdef list leaves = []
    cdef Ref ref = tree.first
    cdef Ref previous = 0
    cdef Leaf* leaf
    cdef int64_t total = 0
    cdef size_t size
    cdef int i
    last = None
    if tree.root:
        total = node_faults(tree, tree.root, tree.height, faults, leaves)
    if total != count:
        faults.append(f"{total} elements in the tree, {count} counted")
    while ref:
        leaf = <Leaf*>at(tree.slabs, ref)
        if not leaves or leaves.pop(0) != ref:
            faults.append("leaves are not chained in their order")
            break
        if leaf.previous != previous:
            faults.append("a leaf does not know the one before")
        for i in range(leaf.count):
            member = member_of(<const uint8_t*>at(tree.slabs, leaf_refs(leaf)[i]), &size)
            element = (leaf_scores(leaf)[i], member[:size])
            if score_of(<const uint8_t*>at(tree.slabs, leaf_refs(leaf)[i])) != element[0]:
                faults.append(f"{element} has another score in its entry")
            if last is not None and not last < element:
                faults.append(f"{element} stands behind {last}")
            last = element
        previous = ref
        ref = leaf.next
    if previous != tree.last and tree.root:
        faults.append("the last leaf is another one")
    if leaves:
        faults.append(f"{len(leaves)} leaves are not chained")
    return faults


cdef int64_t node_faults(const Tree* tree, Ref ref, int levels, list faults,
                         list leaves) except -1:
    cdef const Inner* node = <const Inner*>at(tree.slabs, ref)
    cdef const Leaf* leaf = <const Leaf*>node
    cdef int64_t total = 0
    cdef int64_t one
    cdef int i
    cdef Ref first
    if levels == 0:
        leaves.append(ref)
        if leaf.count == 0 or leaf.count > leaf.capacity:
            faults.append(f"a leaf of {leaf.count} elements")
        return leaf.count
    if node.count == 0 or node.count > node.capacity:
        faults.append(f"a node of {node.count} children")
    for i in range(node.count):
        one = node_faults(tree, inner_children(node)[i], levels - 1, faults, leaves)
        if one != inner_counts(node)[i]:
            faults.append(f"a child of {one} elements, {inner_counts(node)[i]} counted")
        total += one
        first = inner_children(node)[i]
        for _ in range(levels - 1):
            first = inner_children(<const Inner*>at(tree.slabs, first))[0]
        leaf = <const Leaf*>at(tree.slabs, first)
        if (leaf_refs(leaf)[0] != inner_firsts(node)[i]
                or leaf_scores(leaf)[0] != inner_scores(node)[i]):
            faults.append("a child begins with another element than its node says")
    return total
