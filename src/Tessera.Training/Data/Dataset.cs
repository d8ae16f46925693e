using System.Security.Cryptography;
using System.Runtime.InteropServices;
using Tessera.Models;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Text.Tokenizers;

namespace Tessera.Training.Data;

/// <summary>
/// Examples as token ids, and how they become batches. The order of an epoch is a function of the seed and the epoch's
/// number alone, so that training can stop and go on anywhere.
/// </summary>
public abstract class Dataset
{
    private (int Epoch, CounterRandom Random)? _planned;
    private List<int[]> _plan = [];

    /// <summary>How many examples were left out because they were too long.</summary>
    public int TooLong { get; protected init; }

    /// <summary>How many examples (pairs, or rows of packed text) there are.</summary>
    public abstract int Count { get; }

    /// <summary>A dataset for a model: pairs for one that reads a source, packed text for one that continues.</summary>
    /// <param name="examples">The texts.</param>
    /// <param name="tokenizer">Turns them into ids.</param>
    /// <param name="options">Sizes of batches.</param>
    /// <param name="pairs">Whether the model reads a source.</param>
    /// <exception cref="InvalidDataException">Nothing is left, or pairs are needed and there is only text.</exception>
    public static Dataset Of(IReadOnlyList<Example> examples, Tokenizer tokenizer, BatchOptions options, bool pairs) =>
        pairs ? new PairDataset(examples, tokenizer, options) : new PackedDataset(examples, tokenizer, options);

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
        return Make(_plan[index]);
    }

    /// <summary>The batches of the first examples, shorter ones first, as for evaluation.</summary>
    /// <param name="examples">How many examples at most.</param>
    public IEnumerable<Batch> InOrder(int examples)
    {
        foreach (var batch in Cut([.. Enumerable.Range(0, Math.Min(examples, Count)).OrderBy(LengthOf)])) yield return Make(batch);
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

    /// <summary>All sequences of ids, for the fingerprint.</summary>
    protected abstract IEnumerable<int[]> Rows();

    /// <summary>The order in which an epoch's examples are cut into batches.</summary>
    protected abstract int[] Order(CounterRandom random);

    /// <summary>Cuts examples, in order, into batches.</summary>
    protected abstract List<int[]> Cut(int[] order);

    /// <summary>The tensors of some examples.</summary>
    protected abstract Batch Make(int[] examples);

    private void Plan(int epoch, CounterRandom random)
    {
        if (_planned == (epoch, random)) return;
        var ofEpoch = random.Derive((ulong)epoch);
        _plan = Cut(Order(ofEpoch.Derive("examples")));
        ofEpoch.Derive("batches").Shuffle(CollectionsMarshal.AsSpan(_plan));
        _planned = (epoch, random);
    }
}
