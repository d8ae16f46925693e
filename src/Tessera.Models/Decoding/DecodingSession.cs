using Tessera.Nn;
using Tessera.Nn.Caches;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Decoding;

/// <summary>
/// Decoding of any number of sequences with one model. At each step every sequence may read as many tokens as it likes, without padding,
/// and ask for logits where it likes; between steps sequences join, fork, go back and leave.
/// <code>
/// var session = new DecodingSession(model);
/// var sequence = session.Add();
/// sequence.Read(prompt);
/// using (Arena.Current.Scope()) token = Best(session.Step());
/// sequence.Read(token);
/// </code>
/// <para>One thread uses a session at a time; any number of sessions share a model.</para>
/// </summary>
public sealed class DecodingSession
{
    private static readonly Comparison<DecodingSequence> s_byTokens = (left, right) =>
        left.Pending != right.Pending ? left.Pending.CompareTo(right.Pending) : left.Number.CompareTo(right.Number);

    private readonly SequenceModel _model;
    private readonly CacheSet _caches;
    private readonly DecodingStep _step;
    private readonly List<PositionEncoding> _changing;
    private readonly List<DecodingSequence> _sequences = [];
    private readonly List<DecodingSequence> _reading = [];
    private readonly List<int> _rows = [];
    private readonly int _longest;
    private int _expected;
    private int _isStepping;

    /// <summary>A session without sequences.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cacheType">What keys and values are stored as: F32, BF16, or Q8_0 where heads are multiples of 32 wide.</param>
    /// <exception cref="ShapeException">They cannot be stored so.</exception>
    /// <exception cref="InvalidOperationException">The model generates no text.</exception>
    public DecodingSession(SequenceModel model, ElementType cacheType = ElementType.F32)
    {
        model.RequireGenerates();
        (_model, _caches, _longest) = (model, new CacheSet(model.Decoder, cacheType), model.LongestSequence);
        _step = new DecodingStep(_caches);
        _changing =
        [
            .. model.Decoder.Modules().Select(named => named.Module).OfType<PositionEncoding>().Where(encoding => !encoding.AlwaysStays)];
    }

    /// <summary>The sequences that have not left, in the order in which they joined.</summary>
    public IReadOnlyList<DecodingSequence> Sequences => _sequences;

    /// <summary>Bytes held by the caches.</summary>
    public long CacheBytes => _caches.Bytes;

    /// <summary>Takes memory and computes tables beforehand, so that no step has to: one like an earlier one then allocates
    /// nothing.</summary>
    /// <param name="sequences">How many sequences are going to join.</param>
    /// <param name="tokens">How long each is expected to become.</param>
    public void Reserve(int sequences, int tokens)
    {
        _expected = Math.Min(tokens, _longest);
        _caches.Reserve(sequences, _expected);
    }

    /// <summary>A sequence of a decoder joins; it has read nothing.</summary>
    /// <exception cref="InvalidOperationException">The model reads a source.</exception>
    public DecodingSequence Add()
    {
        if (_model.ReadsSource) throw new InvalidOperationException("a sequence of this model translates a source: Add(source)");
        return Join();
    }

    /// <summary>A sequence joins that translates a source; it has read nothing of its own.</summary>
    /// <param name="source">Token ids, as the model's encoder reads them.</param>
    public DecodingSequence Add(ReadOnlySpan<int> source) => Add([source.ToArray()])[0];

    /// <summary>Sequences join that translate sources, which are encoded together.</summary>
    /// <param name="sources">Token ids, none empty.</param>
    /// <returns>A sequence for each.</returns>
    /// <exception cref="ArgumentException">A source is empty, too long, or has a token that the model does not have.</exception>
    /// <exception cref="InvalidOperationException">The model reads no source.</exception>
    public IReadOnlyList<DecodingSequence> Add(IReadOnlyList<int[]> sources)
    {
        if (!_model.ReadsSource) throw new InvalidOperationException("this model reads no source: Add()");
        if (sources.Count == 0) return [];
        foreach (var source in sources)
        {
            if (source.Length == 0) throw new ArgumentException("a source has no tokens");
            if (source.Length > _model.LongestSource)
                throw new ArgumentException($"a source has {source.Length} tokens; the encoder has positions for {_model.LongestSource}");
            RequireKnown(source);
        }

        DecodingSequence[] joined = [.. sources.Select(_ => Join())];
        using var scope = Arena.Current.Scope();
        using var pause = Tape.Pause();
        try
        {
            _model.Remember(sources, [.. joined.Select(sequence => sequence.Number)], _caches);
            return joined;
        }
        catch
        {
            foreach (var sequence in joined) sequence.Remove();
            throw;
        }
    }

    /// <summary>Computes what sequences have been given to read since the last step.</summary>
    /// <returns>[places, vocabulary], a temporary of the caller's arena scope: a row for each place at which logits were wanted;
    /// <see cref="DecodingSequence.LogitsRow"/> says whose they are.</returns>
    /// <remarks>A step that fails has read nothing: every sequence still has what it was given, and the places of its logits, and the
    /// step may be tried again.</remarks>
    /// <exception cref="InvalidOperationException">No sequence reads anything, or another thread is in a step.</exception>
    /// <exception cref="ObjectDisposedException">The model has been closed.</exception>
    public Tensor Step()
    {
        if (Interlocked.Exchange(ref _isStepping, 1) != 0)
            throw new InvalidOperationException("another thread is using this decoding session");
        try
        {
            _model.RequireOpen();
            Collect();
            using var pause = Tape.Pause();
            var logits = _changing.Count == 0 ? Together() : OneByOne();
            foreach (var sequence in _reading) sequence.Complete();
            return logits;
        }
        catch
        {
            // Caches that have taken a part of the step forget it, whosever part it was: the step may be tried again.
            foreach (var sequence in _reading)
            {
                sequence.Cached = _caches.Truncate(sequence.Number, sequence.Cached);
                (sequence.LogitsRow, sequence.LogitsCount) = (-1, 0);
            }

            throw;
        }
        finally
        {
            _reading.Clear();
            Volatile.Write(ref _isStepping, 0);
        }
    }

    internal DecodingSequence Fork(DecodingSequence sequence)
    {
        RequireHere(sequence);
        var fork = new DecodingSequence(this, _caches.Fork(sequence.Number), _expected);
        fork.CopyFrom(sequence);
        _sequences.Add(fork);
        return fork;
    }

    internal void Truncate(DecodingSequence sequence, int length)
    {
        RequireHere(sequence);
        if (length < sequence.Cached) sequence.Cached = _caches.Truncate(sequence.Number, length);
    }

    internal void Remove(DecodingSequence sequence)
    {
        _caches.Remove(sequence.Number);
        _sequences.Remove(sequence);
    }

    internal void RequireReadable(DecodingSequence sequence, ReadOnlySpan<int> tokens)
    {
        RequireHere(sequence);
        if (tokens.Length == 0) throw new ArgumentException("a sequence is to read no token; at least one is needed");
        if (tokens.Length > _longest - sequence.Length)
        {
            throw new ArgumentException(
                $"a sequence of {sequence.Length} tokens cannot read {tokens.Length} more; the model has positions for {_longest}");
        }

        RequireKnown(tokens);
    }

    private static void RequireHere(DecodingSequence sequence)
    {
        if (sequence.Number < 0) throw new InvalidOperationException("the sequence has left its decoding session");
    }

    private DecodingSequence Join()
    {
        var sequence = new DecodingSequence(this, _caches.Add(), _expected);
        _sequences.Add(sequence);
        return sequence;
    }

    private void RequireKnown(ReadOnlySpan<int> tokens)
    {
        foreach (var token in tokens)
        {
            if ((uint)token >= (uint)_model.Vocabulary)
                throw new ArgumentException($"there is no token {token}; the model's are 0 to {_model.Vocabulary - 1}");
        }
    }

    /// <summary>Finds who reads, those with equally many tokens beside each other, and gives each its rows of logits.</summary>
    private void Collect()
    {
        _reading.Clear();
        foreach (var sequence in _sequences)
        {
            (sequence.LogitsRow, sequence.LogitsCount) = (-1, 0);
            if (!sequence.Reads) continue;
            if (_changing.Count > 0) ForgetMoved(sequence);
            _reading.Add(sequence);
        }

        if (_reading.Count == 0) throw new InvalidOperationException("no sequence of the decoding session has anything to read");
        _reading.Sort(s_byTokens);
        var row = 0;
        foreach (var sequence in _reading)
        {
            (sequence.LogitsRow, sequence.LogitsCount) = (row, sequence.Places.Count);
            row += sequence.Places.Count;
        }
    }

    /// <summary>Where positions are marked otherwise in a sequence of its new length, longer or shorter, all of it is read again.</summary>
    private void ForgetMoved(DecodingSequence sequence)
    {
        if (sequence.Cached == 0) return;
        foreach (var encoding in _changing)
        {
            if (encoding.Stays(Math.Min(sequence.Marked, sequence.Length), Math.Max(sequence.Marked, sequence.Length))) continue;
            sequence.Cached = _caches.Truncate(sequence.Number, 0);
            return;
        }
    }

    private Tensor Together()
    {
        _step.Clear();
        foreach (var sequence in _reading) _step.Add(sequence.Number, sequence.Pending, sequence.Cached);
        return Run(0, _reading.Count);
    }

    /// <summary>Positions that depend on the length of a sequence are not the same for several.</summary>
    private Tensor OneByOne()
    {
        var last = _reading[^1];
        var logits = Tensor.Temporary([last.LogitsRow + last.LogitsCount, _model.Vocabulary]);
        for (var index = 0; index < _reading.Count; index++)
        {
            using var scope = Arena.Current.Scope();
            var sequence = _reading[index];
            _step.Clear();
            _step.Add(sequence.Number, sequence.Pending, sequence.Cached);
            var own = Run(index, 1);
            if (sequence.LogitsCount > 0) Op.Convert(own, logits.Slice(sequence.LogitsRow, sequence.LogitsCount));
        }

        return logits;
    }

    /// <summary>Runs the step over some of those that read, and gives the logits of their places.</summary>
    private Tensor Run(int first, int count)
    {
        var (tokens, positions) = (
            Tensor.Temporary([1, _step.Tokens], ElementType.I32), Tensor.Temporary([1, _step.Tokens], ElementType.I32));
        _rows.Clear();
        for (var index = 0; index < count; index++)
        {
            var (sequence, part) = (_reading[first + index], _step.Sequences[index]);
            sequence.Tokens[part.Position..].CopyTo(tokens.Ints[part.FirstToken..]);
            for (var token = 0; token < part.Tokens; token++) positions.Ints[part.FirstToken + token] = part.Position + token;
            foreach (var place in sequence.Places) _rows.Add(part.FirstToken + place - part.Position);
        }

        var context = ForwardContext.At(positions);
        context.Decoding = _step;
        return _model.DecodeStep(tokens, context, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_rows));
    }
}
