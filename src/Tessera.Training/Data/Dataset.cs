using System.Security.Cryptography;
using System.Runtime.InteropServices;
using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Training.Data;

/// <summary>
/// Examples as token ids, and how they become batches. The batches of an epoch are a function of the seed and the epoch's
/// number alone, so that training can stop and go on anywhere.
/// </summary>
public abstract class Dataset
{
    private static readonly CounterRandom s_heldOut = new CounterRandom(0).Derive("held out");

    private readonly List<(int Start, int Count)> _plan = [];
    private (int Epoch, CounterRandom Random)? _planned;
    private int[] _order = [];

    /// <summary>How many examples were left out because they were too long.</summary>
    public int TooLong { get; protected init; }

    /// <summary>How many examples (pairs, or rows of packed text) there are at the present lengths.</summary>
    public abstract int Count { get; }

    /// <summary>The largest id of a token in any example.</summary>
    public int LargestToken => Rows().Max(row => row.DefaultIfEmpty().Max());

    /// <summary>From now on rows are at most so long. Where that changes, nothing that was made or counted before holds any more.</summary>
    /// <param name="length">Tokens of a target or text; at most what the dataset was prepared for.</param>
    /// <param name="sourceLength">Tokens of a source; at most what the dataset was prepared for.</param>
    public void Resize(int length, int sourceLength)
    {
        if (Fit(length, sourceLength)) _planned = null;
    }

    /// <summary>How many batches an epoch has.</summary>
    public int BatchesIn(int epoch, CounterRandom random)
    {
        Plan(epoch, random);
        return _plan.Count;
    }

    /// <summary>One batch of an epoch, as temporaries of the current arena scope.</summary>
    public Batch Make(int epoch, int index, CounterRandom random)
    {
        Plan(epoch, random);
        return Make(_order.AsSpan(_plan[index].Start, _plan[index].Count));
    }

    /// <summary>The batches of the first examples, shorter ones first, as for evaluation: always the same. No batch of an epoch
    /// is to be made meanwhile.</summary>
    /// <param name="examples">How many examples at most.</param>
    public IEnumerable<Batch> InOrder(int examples)
    {
        _planned = null;
        Arrange(s_heldOut);
        int[] order = [.. Enumerable.Range(0, Math.Min(examples, Count)).OrderBy(LengthOf)];
        var batches = new List<(int Start, int Count)>();
        Cut(order, batches);
        foreach (var (start, count) in batches) yield return Make(order.AsSpan(start, count));
    }

    /// <summary>A SHA-256 of all ids and of what is to be predicted, to notice data that changed between two parts of a run.</summary>
    public string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var row in Rows())
        {
            hash.AppendData(BitConverter.GetBytes(row.Length));
            hash.AppendData(MemoryMarshal.AsBytes(row.AsSpan()));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>How long an example's row is, where examples differ in that.</summary>
    protected virtual int LengthOf(int example) => 0;

    /// <summary>All sequences of ids, and of what is to be predicted.</summary>
    protected abstract IEnumerable<int[]> Rows();

    /// <summary>Takes other lengths; says whether they are others.</summary>
    protected abstract bool Fit(int length, int sourceLength);

    /// <summary>Draws what differs from epoch to epoch besides the order; nothing unless said.</summary>
    protected virtual void Arrange(CounterRandom random)
    {
    }

    /// <summary>Puts an epoch's examples into the order in which they are cut into batches.</summary>
    protected abstract void Sort(Span<int> examples, CounterRandom random);

    /// <summary>Cuts examples, in order, into batches.</summary>
    protected abstract void Cut(ReadOnlySpan<int> order, List<(int Start, int Count)> batches);

    /// <summary>The tensors of some examples.</summary>
    protected abstract Batch Make(ReadOnlySpan<int> examples);

    /// <summary>Plans an epoch in the memory of the one before.</summary>
    private void Plan(int epoch, CounterRandom random)
    {
        if (_planned == (epoch, random)) return;
        var ofEpoch = random.Derive((ulong)epoch);
        Arrange(ofEpoch.Derive("arrangement"));
        if (_order.Length < Count) _order = new int[Count];
        var order = _order.AsSpan(0, Count);
        for (var example = 0; example < order.Length; example++) order[example] = example;
        Sort(order, ofEpoch.Derive("examples"));
        _plan.Clear();
        Cut(order, _plan);
        ofEpoch.Derive("batches").Shuffle(CollectionsMarshal.AsSpan(_plan));
        _planned = (epoch, random);
    }
}
