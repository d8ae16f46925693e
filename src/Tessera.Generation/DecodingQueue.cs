using System.Collections.Concurrent;
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
/// or nobody wants it any more. A step reads the weights once for all.
/// <para>Continuous batching: Yu et al. 2022, Orca, OSDI.</para>
/// </summary>
public sealed class DecodingQueue : IDisposable
{
    private readonly SequenceModel _model;
    private readonly DecodingSession _session;
    private readonly int _maxSequences;
    private readonly ConcurrentQueue<Request> _waiting = new();
    private readonly SemaphoreSlim _asked = new(0);
    private readonly CancellationTokenSource _closing = new();
    private readonly Thread _thread;

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
    /// <param name="options">How tokens are chosen; not by beam search.</param>
    /// <param name="maxNewTokens">The greatest number of tokens; at least 1.</param>
    /// <param name="stopTokens">The tokens that end the text.</param>
    /// <param name="cancellation">Leaves the queue before the next token.</param>
    /// <exception cref="ArgumentException">An option is out of range, or the prompt cannot be read by the model.</exception>
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

    /// <summary>Closes the queue: texts that are being written end with <see cref="ObjectDisposedException"/>.</summary>
    public void Dispose()
    {
        if (_closing.IsCancellationRequested) return;
        _closing.Cancel();
        _thread.Join();
    }

    private Request Ask(
        int[] prompt, DecodingOptions options, int maxNewTokens, IReadOnlyList<int> stopTokens, bool wantsScore,
        CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_closing.IsCancellationRequested, this);
        if (prompt.Length == 0) throw new ArgumentException("a prompt has no tokens", nameof(prompt));
        ArgumentOutOfRangeException.ThrowIfLessThan(maxNewTokens, 1);
        var request = new Request(
            prompt, Sampler.Of(options), options.ConstraintOf(stopTokens), [.. stopTokens], maxNewTokens, wantsScore, cancellation);
        _waiting.Enqueue(request);
        _asked.Release();
        if (_closing.IsCancellationRequested) request.Fail(new ObjectDisposedException(nameof(DecodingQueue))); // closed meanwhile
        return request;
    }

    private void Work()
    {
        var live = new List<Request>();
        try
        {
            while (true)
            {
                if (live.Count == 0) _asked.Wait(_closing.Token);
                else if (_asked.CurrentCount > 0 && live.Count < _maxSequences) _asked.Wait(_closing.Token);
                _closing.Token.ThrowIfCancellationRequested();
                Admit(live);
                live.RemoveAll(request => request.LeavesIfCancelled());
                if (live.Count > 0) Step(live);
            }
        }
        catch (OperationCanceledException)
        {
            foreach (var request in live.Concat(_waiting)) request.Fail(new ObjectDisposedException(nameof(DecodingQueue)));
        }
    }

    /// <summary>Lets those who wait join, as far as there is room; one that cannot is told why.</summary>
    private void Admit(List<Request> live)
    {
        while (live.Count < _maxSequences && _waiting.TryDequeue(out var request))
        {
            try
            {
                request.Join(Prompts.Join(_session, _model, request.Prompt));
                live.Add(request);
            }
            catch (Exception error) when (error is ArgumentException or InvalidOperationException)
            {
                request.Fail(error);
            }
        }
    }

    private void Step(List<Request> live)
    {
        using var scope = Arena.Current.Scope();
        Tensor logits;
        try
        {
            logits = _session.Step();
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            foreach (var request in live) request.Fail(error);
            live.Clear();
            return;
        }

        live.RemoveAll(request => request.Ends(logits));
    }

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

        public void Fail(Exception error)
        {
            _text?.Leave();
            Tokens.Writer.TryComplete(error);
        }

        public bool LeavesIfCancelled()
        {
            if (!_isGone && !cancellation.IsCancellationRequested) return false;
            Fail(new OperationCanceledException(cancellation));
            return true;
        }

        /// <summary>Writes the next token; whether the text ends with it.</summary>
        public bool Ends(Tensor logits)
        {
            try
            {
                if (_text!.Advance(logits)) Tokens.Writer.TryWrite(_text.Chosen);
                if (_text.Finished is null) return false;
                Tokens.Writer.TryComplete();
            }
            catch (Exception error) when (error is NoTokenAllowedException or ArgumentException)
            {
                Fail(error);
            }

            return true;
        }
    }
}
