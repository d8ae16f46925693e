using System.Text.Json;
using Tessera.Models.Formats;
using Tessera.Nn;
using Tessera.Nn.Positions;
using Tessera.Tensors;

namespace Tessera.Models.Verification;

/// <summary>
/// Compares a model with outputs that another program recorded for it. A folder holds, beside <c>config.json</c> and weights,
/// <c>expected.safetensors</c> with some of
/// <list type="bullet">
/// <item><c>batch.input_ids</c> [B, T], <c>batch.logits</c> [B, T, V], <c>batch.hidden.{l}</c> [B, T, D], <c>batch.loss</c>,
/// <c>grad.{tensor}</c> of that loss, <c>main.loss</c>, <c>mtp.{k}.logits</c> [B, T − 1 − k, V], <c>mtp.{k}.loss</c>;</item>
/// <item><c>long.input_ids</c> [1, N], <c>long.logits</c> [1, N, V];</item>
/// <item><c>padded.input_ids</c>, <c>padded.mask</c> [B, T], padded to the left, <c>padded.logits</c> [B, T, V];</item>
/// <item><c>greedy.prompt</c> [P], <c>greedy.tokens</c> [N], <c>greedy.margin</c> [N]: between the best two logits.</item>
/// </list>
/// </summary>
public sealed class ModelVerification
{
    /// <summary>Where the best two logits are closer than this, rounding decides between them.</summary>
    private const double Tie = 1e-4;

    /// <summary>What DeepSeek weighs the losses of later tokens with, and recordings that do not say.</summary>
    private const double LaterWeight = 0.3;

    /// <summary>Tokens read at once before decoding goes on token by token.</summary>
    private const int CachedPrompt = 4;

    private readonly ModelFolder _folder;
    private readonly RecordedOutputs _recorded;
    private readonly float _laterWeight;

    private ModelVerification(ModelFolder folder, RecordedOutputs recorded, float laterWeight) =>
        (_folder, _recorded, _laterWeight) = (folder, recorded, laterWeight);

    private SequenceModel Model => _folder.Model;

    /// <summary>Compares a folder's model with what was recorded.</summary>
    /// <exception cref="IOException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or they do not belong together.</exception>
    public static VerificationResult Run(string folder)
    {
        var loaded = ModelFolder.Load(folder);
        using var recorded = RecordedOutputs.Open(folder);
        var verification = new ModelVerification(loaded, recorded, VerifiedModel.LaterWeight(folder) ?? (float)LaterWeight);
        return verification.Run(new VerificationResult(folder, loaded.Family?.Name ?? "Tessera"));
    }

    private VerificationResult Run(VerificationResult result)
    {
        using var scope = Arena.Current.Scope();
        if (_recorded.Has("batch.input_ids")) result = Batch(result, _recorded.Tokens("batch.input_ids", Model.Vocabulary));
        if (_recorded.Has("long.logits")) result = result with { LongLogits = Logits("long.logits", _recorded.Tokens("long.input_ids", Model.Vocabulary)) };
        if (_recorded.Has("padded.logits")) result = result with { PaddedLogits = Padded() };
        if (_recorded.Has("greedy.tokens")) result = Greedy(result);
        var tokens = _recorded.Has("long.input_ids") ? "long.input_ids" : "batch.input_ids";
        return _recorded.Has(tokens) ? result with { Cached = Cached(_recorded.Tokens(tokens, Model.Vocabulary)) } : result;
    }

    private VerificationResult Batch(VerificationResult result, int[][] rows)
    {
        using var scope = Arena.Current.Scope();
        var batch = BatchOf(rows);
        if (_recorded.Has("batch.logits")) result = result with { Logits = Logits("batch.logits", rows) };
        if (_recorded.Has("batch.hidden.0")) result = result with { Hidden = Hidden(batch) };
        if (_recorded.Has("mtp.0.logits")) result = result with { LaterLogits = LaterLogits(batch) };
        return _recorded.Has("batch.loss") ? Gradients(result, batch) : result;
    }

    private double Logits(string name, int[][] rows)
    {
        using var scope = Arena.Current.Scope();
        var batch = BatchOf(rows);
        return Largest(name, Model.Logits(batch, Step.At(batch.Positions)).Floats);
    }

    private double Hidden(Batch batch)
    {
        using var scope = Arena.Current.Scope();
        var (streams, step) = (new List<Tensor>(), Step.At(batch.Positions));
        step.Streams = streams;
        Model.Logits(batch, step);
        return streams.Select((stream, layer) => Largest($"batch.hidden.{layer}", stream.Floats)).Max();
    }

    /// <summary>Ours have as many places as there are tokens; the last ones mean nothing.</summary>
    private double LaterLogits(Batch batch)
    {
        using var scope = Arena.Current.Scope();
        var later = RequireLater().LaterLogits(batch, Step.At(batch.Positions));
        var (largest, length) = (0.0, batch.Inputs.Shape[1]);
        for (var depth = 0; _recorded.Has($"mtp.{depth}.logits"); depth++)
        {
            if (depth >= later.Count) throw new InvalidDataException($"mtp.{depth}.logits were recorded, but the model predicts {later.Count} later tokens");
            var places = length - 1 - depth;
            var found = later[depth].ToArray().Chunk(length * Model.Vocabulary).SelectMany(row => row.Take(places * Model.Vocabulary)).ToArray();
            largest = Math.Max(largest, Largest($"mtp.{depth}.logits", found));
        }

        return largest;
    }

    private DecoderModel RequireLater() => Model as DecoderModel ?? throw new InvalidDataException("later tokens were recorded, but the model is no decoder");

    private VerificationResult Gradients(VerificationResult result, Batch batch)
    {
        using var tape = Tape.Record();
        var step = Step.At(batch.Positions);
        step.IsTraining = _recorded.Has("main.loss"); // with the losses of later tokens
        var total = Model.Loss(batch, step);
        if (step.IsTraining)
        {
            var later = step.Losses.FirstOrDefault(loss => loss.Name == "mtp").Loss ?? throw new InvalidDataException("losses of later tokens were recorded, but the model predicts none");
            var expected = Enumerable.Range(0, int.MaxValue).TakeWhile(depth => _recorded.Has($"mtp.{depth}.loss")).Average(depth => _recorded.Floats($"mtp.{depth}.loss", 1)[0]);
            result = result with { LaterLosses = Distance(expected, later.Item()) };
            total = Op.Add(total, Op.Scale(later, _laterWeight));
        }

        result = result with { Loss = Distance(_recorded.Floats("batch.loss", 1)[0], total.Item()) };
        if (!_recorded.Names.Any(name => name.StartsWith(GradientComparison.Prefix, StringComparison.Ordinal))) return result;
        tape.Backward(total);
        var (worst, difference) = GradientComparison.Worst(_folder, _recorded);
        return result with { Gradients = difference, WorstGradient = worst };
    }

    /// <summary>Recorded rows are padded to the left, with positions from the first real token; ours are padded to the right.</summary>
    private double Padded()
    {
        using var scope = Arena.Current.Scope();
        var (rows, masks) = (_recorded.Tokens("padded.input_ids", Model.Vocabulary), _recorded.Rows("padded.mask"));
        var length = rows[0].Length;
        if (masks.Length != rows.Length || masks[0].Length != length || masks.Any(mask => mask.Any(one => one is not (0 or 1))))
            throw new InvalidDataException("'padded.mask' must hold 0 or 1 for each of 'padded.input_ids'");
        var batch = BatchOf([.. rows.Zip(masks, (row, mask) => row.Zip(mask).OrderBy(token => token.Second == 0).Select(token => token.First).ToArray())]);
        var step = Step.At(batch.Positions);
        step.Lengths = Tensor.From([.. masks.Select(mask => mask.Sum())], [rows.Length]);
        var found = Model.Logits(batch, step).ToArray();
        var expected = _recorded.Floats("padded.logits", found.Length);
        var largest = 0.0;
        for (var row = 0; row < rows.Length; row++)
        {
            var real = masks[row].Sum();
            var (ours, theirs) = (row * length * Model.Vocabulary, ((row * length) + length - real) * Model.Vocabulary);
            largest = Math.Max(largest, Largest(expected.AsSpan(theirs, real * Model.Vocabulary), found.AsSpan(ours, real * Model.Vocabulary)));
        }

        return largest;
    }

    /// <summary>After each token the recorded one is read, so that a tie does not turn all that follows.</summary>
    private VerificationResult Greedy(VerificationResult result)
    {
        var prompt = _recorded.Tokens("greedy.prompt", Model.Vocabulary)[0];
        var tokens = _recorded.Tokens("greedy.tokens", Model.Vocabulary)[0];
        var margins = _recorded.Has("greedy.margin") ? _recorded.Floats("greedy.margin", tokens.Length) : new float[tokens.Length].Select(_ => float.PositiveInfinity).ToArray();
        var state = Model.Start([prompt], 1, tokens.Length);
        var equal = 0;
        for (var place = 0; place < tokens.Length; place++)
        {
            using var scope = Arena.Current.Scope();
            var logits = place == 0 ? Model.Next(state, state.First) : Model.Next(state, [tokens[place - 1]]);
            if (System.Numerics.Tensors.TensorPrimitives.IndexOfMax<float>(logits.Floats) == tokens[place] || margins[place] < Tie) equal++;
        }

        return result with { GreedyTokens = tokens.Length, GreedyEqual = equal };
    }

    private double Cached(int[][] rows)
    {
        var (length, largest) = (rows[0].Length, 0.0);
        // Where positions depend on the length, the logits of a place do: then each beginning is a sequence of its own.
        var isOne = !Model.Modules().Any(module => module.Module is PositionEncoding { AlwaysStays: false });
        var whole = isOne ? Whole(length) : null;
        var first = Math.Min(CachedPrompt, length);
        var state = Model.Start([.. rows.Select(row => row[..first])], 1, length);
        for (var place = first - 1; place < length; place++)
        {
            using var scope = Arena.Current.Scope();
            var logits = place < first ? Model.Next(state, state.First) : Model.Next(state, [.. rows.Select(row => row[place])]);
            var expected = whole ?? Whole(place + 1);
            for (var row = 0; row < rows.Length; row++)
            {
                var at = ((row * expected.Length / rows.Length / Model.Vocabulary) + place) * Model.Vocabulary;
                largest = Math.Max(largest, Largest(expected.AsSpan(at, Model.Vocabulary), logits.Floats.Slice(row * Model.Vocabulary, Model.Vocabulary)));
            }
        }

        return largest;

        float[] Whole(int tokens)
        {
            using var scope = Arena.Current.Scope();
            var batch = BatchOf([.. rows.Select(row => row[..tokens])]);
            return Model.Logits(batch, Step.At(batch.Positions)).ToArray();
        }
    }

    /// <summary>Each token is to predict the one after it.</summary>
    private static Batch BatchOf(int[][] rows)
    {
        var (count, length) = (rows.Length, rows[0].Length);
        int[] targets = [.. rows.SelectMany(row => row.Skip(1).Append(-1))];
        var batch = Models.Batch.Of(Tensor.From([.. rows.SelectMany(row => row)], [count, length]), Tensor.From(targets, [count, length]), Models.Batch.PositionsFromStart(count, length));
        (batch.TargetTokens, batch.Tokens) = (count * (length - 1), count * length);
        return batch;
    }

    private double Largest(string name, ReadOnlySpan<float> found) => Largest(_recorded.Floats(name, found.Length), found);

    private static double Largest(ReadOnlySpan<float> expected, ReadOnlySpan<float> found)
    {
        var largest = 0.0;
        for (var i = 0; i < found.Length; i++) largest = Math.Max(largest, Distance(expected[i], found[i]));
        return largest;
    }

    /// <summary>What is not a number is infinitely far from everything.</summary>
    private static double Distance(double expected, double found) => Math.Abs(expected - found) is var distance && double.IsNaN(distance) ? double.PositiveInfinity : distance;
}
