using System.Text;
using Tessera.Models;
using Tessera.Tensors;

namespace Tessera.Evaluation.Metrics;

/// <summary>
/// How surprised a decoder is by a whole text. It is read in windows of <c>context</c> tokens that begin <c>stride</c> tokens apart; a
/// window predicts those of its tokens that none before it did, so each token of the text is predicted once, with at least
/// <c>context − stride</c> tokens before it but in the first window. What stands before every text of the model (such as a begin token) is
/// read and not predicted; without it the first token is not predicted. Cost: about <c>context / stride</c> passes over the text.
/// <para>So transformers' "Perplexity of fixed-length models" describes it.</para>
/// </summary>
/// <param name="Total">The measure of the text, its bytes included.</param>
/// <param name="Passes">The measure of each stretch of the text that was read at once, in order; bytes are not known.</param>
/// <param name="Windows">How many windows there were.</param>
public sealed record TextPerplexity(Perplexity Total, IReadOnlyList<Perplexity> Passes, long Windows)
{
    /// <summary>Tokens that one pass reads, about: short windows are read together.</summary>
    private const int TokensAtOnce = 4096;

    /// <summary>Measures a model on a text.</summary>
    /// <param name="model">A decoder with a head of tokens, and its tokenizer.</param>
    /// <param name="text">The text; special tokens that it names are plain text.</param>
    /// <param name="context">Tokens of a window: at least 2, at most the positions that the model has.</param>
    /// <param name="stride">1 to <paramref name="context"/> − 1.</param>
    /// <param name="progress">Told how many tokens of how many are done.</param>
    /// <param name="cancellation">Stops between two passes.</param>
    /// <exception cref="ArgumentException">Context or stride is out of its range.</exception>
    /// <exception cref="InvalidDataException">The model is no decoder, or lacks a token that its tokenizer gives.</exception>
    public static TextPerplexity Measure(
        ModelFolder model, string text, int context, int stride, Action<long, long>? progress = null,
        CancellationToken cancellation = default)
    {
        RequireDecoder(model);
        if (context < 2 || context > model.Model.LongestSequence)
        {
            var most = model.Model.LongestSequence == int.MaxValue ? "" : $", at most {model.Model.LongestSequence}";
            throw new ArgumentException($"context is {context}; allowed: at least 2{most}");
        }

        if (stride < 1 || stride >= context) throw new ArgumentException($"stride is {stride}; allowed: 1 to {context - 1}, below context");
        var opening = model.PromptFormat.Opening(model.Tokenizer);
        int[] ids = [.. opening, .. model.Tokenizer.EncodeOrdinary(text)];
        if (Array.Find(ids, id => id >= model.Model.Vocabulary) is > 0 and var unknown)
        {
            throw new InvalidDataException(
                $"the tokenizer gives token {unknown}, which the model does not have; its tokens are 0 to {model.Model.Vocabulary - 1}");
        }

        var measures = new List<Perplexity>();
        var planned = Plan(ids.Length, Math.Max(1, opening.Length), context, stride);
        foreach (var rows in Together(planned, Math.Max(1, TokensAtOnce / context)))
        {
            cancellation.ThrowIfCancellationRequested();
            measures.Add(Read(model, ids, rows));
            progress?.Invoke(rows[^1].End, ids.Length);
        }

        var unread = opening.Length > 0 || ids.Length == 0 ? 0 : Encoding.UTF8.GetByteCount(model.Tokenizer.Decode(ids.AsSpan(0, 1)));
        var bytes = Math.Max(0, Encoding.UTF8.GetByteCount(text) - unread);
        return new TextPerplexity(
            new Perplexity(measures.Sum(one => one.Nats), measures.Sum(one => one.Tokens), bytes), measures, planned.Count);
    }

    /// <summary>Throws where a model cannot read plain text token by token.</summary>
    /// <exception cref="InvalidDataException">It is so.</exception>
    public static void RequireDecoder(ModelFolder model)
    {
        if (!model.Model.Generates || model.Model.ReadsSource)
            throw new InvalidDataException($"the perplexity of texts is that of decoders; this model is none: {model.Model.WhatItIs}");
    }

    /// <summary>A window: the tokens from <c>Start</c> to <c>End</c>, of which those from <c>First</c> on are predicted.</summary>
    private readonly record struct Window(int Start, int First, int End);

    private static List<Window> Plan(int tokens, int first, int context, int stride)
    {
        var windows = new List<Window>();
        for (long start = 0; first < tokens; start += stride)
        {
            var end = (int)Math.Min(start + context, tokens);
            if (end > first) windows.Add(new Window((int)start, first, end));
            first = Math.Max(first, end);
        }

        return windows;
    }

    private static IEnumerable<List<Window>> Together(List<Window> windows, int rows)
    {
        var group = new List<Window>();
        foreach (var window in windows)
        {
            if (group.Count == rows || (group.Count > 0 && group[0].End - group[0].Start != window.End - window.Start))
            {
                yield return group;
                group = [];
            }

            group.Add(window);
        }

        if (group.Count > 0) yield return group;
    }

    /// <summary>The measure of windows of one length together.</summary>
    private static Perplexity Read(ModelFolder model, int[] ids, List<Window> windows)
    {
        using var scope = Arena.Current.Scope();
        using var pause = Tape.Pause();
        var length = windows[0].End - windows[0].Start - 1;
        var inputs = Tensor.Temporary([windows.Count, length], ElementType.I32);
        var targets = Tensor.Temporary([windows.Count, length], ElementType.I32);
        targets.Ints.Fill(-1);
        var predicted = 0;
        for (var row = 0; row < windows.Count; row++)
        {
            var (start, first, end) = windows[row];
            ids.AsSpan(start, length).CopyTo(inputs.Ints[(row * length)..]);
            ids.AsSpan(first, end - first).CopyTo(targets.Ints[((row * length) + first - start - 1)..]);
            predicted += end - first;
        }

        var batch = Batch.Of(inputs, targets, Batch.PositionsFromStart(windows.Count, length));
        (batch.TargetTokens, batch.Tokens) = (predicted, windows.Count * length);
        return new Perplexity(model.Model.Loss(batch, batch.Context()).Item() * (double)predicted, predicted);
    }
}
