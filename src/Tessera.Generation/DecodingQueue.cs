using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Tessera.Generation.Sampling;
using Tessera.Generation.Search;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Tensors;

namespace Tessera.Generation;

/// <summary>
/// Many callers, one decoding thread: whoever asks joins the sequences that are being decoded at the next step, and leaves as the text ends
/// or nobody wants it any more. A step reads the weights once for all. What a caller's own processors or constraint throw, that caller is
/// told; the others go on.
/// <para>Continuous batching: Yu et al. 2022, Orca, OSDI.</para>
/// </summary>
public sealed class DecodingQueue : IDisposable
{
    private readonly SequenceModel _model;
    private readonly DecodingSession _session;
    private readonly int _maxSequences;
    private readonly Thread _thread;
    private readonly List<Request> _live = []; // the decoding thread's own

    // Guards what follows.
    private readonly object _gate = new();
    private readonly List<Request> _waiting = [];
    private bool _isClosing;
    private Exception? _defect;
    private bool _hasEnded;

    /// <summary>A queue, whose thread waits until somebody asks.</summary>
    /// <param name="model">The model.</param>
    /// <param name="maxSequences">How many texts are written at once; others wait. At least 1.</param>
    /// <param name="cacheType">What keys and values are stored as: F32, BF16, or Q8_0 where heads are multiples of 32 wide.</param>
    public DecodingQueue(SequenceModel model, int maxSequences = 64, ElementType cacheType = ElementType.F32)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxSequences, 1);
        (_model, _session, _maxSequences) = (model, new DecodingSession(model, cacheType), maxSequences);
        _thread = new Thread(Work) { IsBackground = true, Name = "Tessera decoding" };
        _thread.Start();
    }

    /// <summary>The tokens of one text as they are chosen.</summary>
    /// <param name="prompt">Token ids: a source of an encoder-decoder, a beginning of a decoder; not empty.</param>
    /// <param name="options">How tokens are chosen; not by beam search. What its processors and its constraint throw ends this text
    /// alone.</param>
    /// <param name="maxNewTokens">The greatest number of tokens; at least 1. <see cref="DecodingOptions.MaxNewTokens"/> counts where it is
    /// smaller.</param>
    /// <param name="stopTokens">The tokens that end the text.</param>
    /// <param name="cancellation">Leaves the queue before the next token, whether the text is being written or still waits.</param>
    /// <exception cref="ArgumentException">An option is out of range, or the prompt cannot be read by the model.</exception>
    /// <exception cref="NoTokenAllowedException">Processors or the constraint of the options leave no token somewhere.</exception>
    /// <exception cref="ObjectDisposedException">The queue has been closed.</exception>
    public async IAsyncEnumerable<int> StreamAsync(
        int[] prompt, DecodingOptions options, int maxNewTokens, IReadOnlyList<int> stopTokens,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        using var request = Ask(prompt, options, maxNewTokens, stopTokens, wantsScore: false, cancellation);
        await foreach (var token in request.Tokens.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false)) yield return token;
    }

    /// <summary>One text.</summary>
    /// <inheritdoc cref="StreamAsync"/>
    public async Task<Generated> GenerateAsync(
        int[] prompt, DecodingOptions options, int maxNewTokens, IReadOnlyList<int> stopTokens, CancellationToken cancellation = default)
    {
        using var request = Ask(prompt, options, maxNewTokens, stopTokens, wantsScore: true, cancellation);
        await foreach (var _ in request.Tokens.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false)) { }
        return request.Result;
    }

    /// <summary>Closes the queue: texts that are being written or wait end with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isClosing) return;
            _isClosing = true;
            Monitor.Pulse(_gate);
        }

        _thread.Join();
    }

    private Request Ask(
        int[] prompt, DecodingOptions options, int maxNewTokens, IReadOnlyList<int> stopTokens, bool wantsScore,
        CancellationToken cancellation)
    {
        if (prompt.Length == 0) throw new ArgumentException("a prompt has no tokens", nameof(prompt));
        var limit = options.Limit(maxNewTokens);
        var request = new Request(
            prompt, Sampler.Of(options), options.ConstraintOf(stopTokens), [.. stopTokens], limit, wantsScore, cancellation);
        lock (_gate)
        {
            if (_isClosing || _hasEnded) throw Ended();
            _waiting.Add(request);
            Monitor.Pulse(_gate);
        }

        return request;
    }

    /// <summary>What the decoding thread does. However it ends, nobody is left waiting and nobody can ask any more.</summary>
    private void Work()
    {
        try
        {
            while (IsOpen())
            {
                while (Next() is { } request) Join(request);
                _live.RemoveAll(request => request.LeavesIfCancelled());
                if (_live.Count > 0) Step();
            }
        }
        catch (Exception error)
        {
            lock (_gate) _defect = error;
        }

        Request[] left;
        lock (_gate)
        {
            _hasEnded = true;
            left = [.. _live, .. _waiting];
            _waiting.Clear();
        }

        foreach (var request in left) request.Tell(Ended());
    }

    /// <summary>Waits until there is something to do, and lets those go who no longer wait for their text.</summary>
    /// <returns>Whether the queue is still open.</returns>
    private bool IsOpen()
    {
        lock (_gate)
        {
            while (!_isClosing && _live.Count == 0 && _waiting.Count == 0) Monitor.Wait(_gate);
            _waiting.RemoveAll(request => request.LeavesIfCancelled());
            return !_isClosing;
        }
    }

    /// <summary>Who has waited longest; null where nobody waits or there is no room.</summary>
    private Request? Next()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 || _live.Count >= _maxSequences) return null;
            var first = _waiting[0];
            _waiting.RemoveAt(0);
            return first;
        }
    }

    /// <summary>Lets somebody join the sequences that are decoded, or tells why that cannot be.</summary>
    private void Join(Request request)
    {
        try
        {
            request.Join(Prompts.Join(_session, _model, request.Prompt));
            _live.Add(request);
        }
        catch (Exception error)
        {
            request.Fail(error);
        }
    }

    private void Step()
    {
        using var scope = Arena.Current.Scope();
        Tensor logits;
        try
        {
            logits = _session.Step();
        }
        catch (Exception error)
        {
            foreach (var request in _live) request.Fail(error);
            _live.Clear();
            return;
        }

        _live.RemoveAll(request => request.Ends(logits));
    }

    private Exception Ended() => _defect is { } defect
        ? new InvalidOperationException($"the decoding queue has ended: {defect.Message}", defect)
        : new ObjectDisposedException(nameof(DecodingQueue));

    /// <summary>Somebody who waits for a text.</summary>
    private sealed class Request(
        int[] prompt, Sampler sampler, TokenConstraint? constraint, int[] stopTokens, int maxNewTokens, bool wantsScore,
        CancellationToken cancellation) : IDisposable
    {
        private WrittenText? _text;
        private volatile bool _isGone;

        public int[] Prompt => prompt;

        public Channel<int> Tokens { get; } =
            Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

        public Generated Result => _text!.Result;

        /// <summary>Nobody reads the tokens any more.</summary>
        public void Dispose() => _isGone = true;

        public void Join(DecodingSequence sequence) =>
            _text = new WrittenText(sequence, sampler, constraint, stopTokens, maxNewTokens, number: 0, wantsScore);

        /// <summary>Leaves the sequences that are decoded.</summary>
        /// <param name="error">What who waits is told.</param>
        public void Fail(Exception error)
        {
            Tell(error);
            _text?.Leave();
        }

        public void Tell(Exception error) => Tokens.Writer.TryComplete(error);

        public bool LeavesIfCancelled()
        {
            if (!_isGone && !cancellation.IsCancellationRequested) return false;
            Fail(new OperationCanceledException(cancellation));
            return true;
        }

        /// <summary>Writes the next token; whether the text ends with it. Processors and constraints are the caller's and may throw
        /// anything.</summary>
        public bool Ends(Tensor logits)
        {
            try
            {
                if (_text!.Advance(logits)) Tokens.Writer.TryWrite(_text.Chosen);
                if (_text.Finished is null) return false;
                Tokens.Writer.TryComplete();
            }
            catch (Exception error)
            {
                Fail(error);
            }

            return true;
        }
    }
}
