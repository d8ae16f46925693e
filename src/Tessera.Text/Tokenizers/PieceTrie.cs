using System.Numerics;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Pieces of text by their characters, to find all those that begin at a place in one walk. Edges are kept in one hash
/// table, an edge and what it leads to beside each other.
/// </summary>
internal sealed class PieceTrie
{
    /// <summary>Where a walk begins.</summary>
    public const int Root = 0;

    /// <summary>In place of an id where no piece ends.</summary>
    public const int None = -1;

    private readonly Edge[] _edges;
    private readonly int _shift;

    /// <param name="pieces">Texts and their ids, at least 0. Of equal texts the last counts; empty ones are left out.</param>
    public PieceTrie(IEnumerable<(string Text, int Id)> pieces)
    {
        var nodes = new Dictionary<ulong, (int Node, int Id)>();
        foreach (var (text, id) in pieces)
        {
            var node = Root;
            for (var i = 0; i < text.Length; i++)
            {
                var key = Key(node, text[i]);
                (int Node, int Id) edge = nodes.TryGetValue(key, out var known) ? known : (nodes.Count + 1, None);
                if (i == text.Length - 1) edge.Id = id;
                nodes[key] = edge;
                node = edge.Node;
            }
        }

        // At most half full, so that a walk that ends finds an empty place soon.
        var places = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(2, 2 * nodes.Count));
        _edges = new Edge[places];
        _shift = 64 - BitOperations.Log2((uint)places);
        foreach (var (key, (node, id)) in nodes) _edges[PlaceOf(key)] = new Edge { Key = key, Node = node, Id = id };
    }

    /// <summary>Goes one character on.</summary>
    /// <param name="node">Where the walk is, at first <see cref="Root"/>.</param>
    /// <param name="character">The next character.</param>
    /// <param name="id">The piece that ends here, or <see cref="None"/>.</param>
    /// <returns>Whether any piece goes on so.</returns>
    public bool Next(ref int node, char character, out int id)
    {
        var key = Key(node, character);
        ref var edge = ref _edges[PlaceOf(key)];
        (node, id) = (edge.Node, edge.Id);
        return edge.Key == key;
    }

    /// <summary>The length of the longest piece that a text starts with, or 0.</summary>
    public int Longest(ReadOnlySpan<char> text) => Longest(text, out _);

    /// <summary>The length of the longest piece that a text starts with, or 0, and its id.</summary>
    public int Longest(ReadOnlySpan<char> text, out int id)
    {
        id = None;
        var (node, length) = (Root, 0);
        for (var i = 0; i < text.Length && Next(ref node, text[i], out var ends); i++)
            if (ends != None) (length, id) = (i + 1, ends);
        return length;
    }

    // Never 0, which marks an empty place.
    private static ulong Key(int node, char character) => ((ulong)(uint)node + 1) << 16 | character;

    /// <summary>Where an edge is, or the empty place it would have.</summary>
    private int PlaceOf(ulong key)
    {
        var place = (int)(key * 0x9E3779B97F4A7C15 >> _shift);
        while (_edges[place].Key != key && _edges[place].Key != 0) place = (place + 1) & (_edges.Length - 1);
        return place;
    }

    private struct Edge
    {
        public ulong Key;
        public int Node;
        public int Id;
    }
}
