using Tessera.Models.Decoding;
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
/// Other names are errors, as are those of which what they need is missing. <c>case.json</c> may say with <c>loss_weight</c> by how
/// much <c>batch.loss</c> counts the mean of <c>mtp.{k}.loss</c> (0.3).
/// </summary>
public sealed class ModelVerification
{
    /// <summary>Where the best two logits are closer than this, rounding decides between them.</summary>
    private const double Tie = 1e-4;

    /// <summary>Tokens read at once before decoding goes on token by token.</summary>
    private const int CachedPrompt = 4;

    private readonly ModelFolder _folder;
    private readonly RecordedOutputs _recorded;

    private ModelVerification(ModelFolder folder, RecordedOutputs recorded) => (_folder, _recorded) = (folder, recorded);

    private SequenceModel Model => _folder.Model;

    /// <summary>Compares a folder's model with what was recorded.</summary>
    /// <param name="folder">The folder, or a GGUF file in the folder of the recording.</param>
    /// <exception cref="IOException">The folder or one of its files is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged, or they do not belong together, or nothing was recorded that could be
    /// compared.</exception>
    public static VerificationResult Run(string folder)
    {
        var loaded = ModelFolder.Load(folder);
        var beside = File.Exists(folder) ? Path.GetDirectoryName(Path.GetFullPath(folder))! : folder;
        using var recorded = RecordedOutputs.Open(beside);
        var result = new ModelVerification(loaded, recorded).Run(new VerificationResult(folder, loaded.Family?.Name ?? "Tessera"));
        recorded.RequireAllRead();
        return result.Compares
            ? result
            : throw new InvalidDataException(
                $"{Path.Combine(folder, RecordedOutputs.FileName)}: holds no outputs to compare the model's with");
    }

    private VerificationResult Run(VerificationResult result)
    {
        using var scope = Arena.Current.Scope();
        if (_recorded.Has("batch.input_ids")) result = Batch(result, Tokens("batch.input_ids"));
        if (_recorded.Has("long.logits")) result = result with { LongLogits = Logits("long.logits", Tokens("long.input_ids")) };
        if (_recorded.Has("padded.logits")) result = result with { PaddedLogits = Padded() };
        if (_recorded.Has("greedy.tokens")) result = Greedy(result);
        var tokens = _recorded.Has("long.input_ids") ? "long.input_ids" : "batch.input_ids";
        return _recorded.Has(tokens) ? result with { Cached = Cached(Tokens(tokens)) } : result;
    }

    /// <summary>Rows of tokens, for all of which the model has positions.</summary>
    private int[][] Tokens(string name)
    {
        var rows = _recorded.Tokens(name, Model.Vocabulary);
        RequirePositions(name, rows[0].Length);
        return rows;
    }

    private int[] OneRow(string name) =>
        Tokens(name) is [var row] ? row : throw new InvalidDataException($"'{name}' has more than one row");

    private void RequirePositions(string name, int tokens)
    {
        if (tokens > Model.LongestSequence)
            throw new InvalidDataException($"'{name}' ends at position {tokens}, the model has {Model.LongestSequence}");
    }

    private VerificationResult Batch(VerificationResult result, int[][] rows)
    {
        using var scope = Arena.Current.Scope();
        var batch = BatchOf(rows);
        if (_recorded.Has("batch.logits"))
        {
            var recorded = _recorded.Floats("batch.logits", (long)rows.Length * rows[0].Length * Model.Vocabulary);
            result = result with { Logits = Logits("batch.logits", rows), LargestLogit = recorded.Max(Math.Abs) };
        }

        if (_recorded.Has("batch.hidden.0")) result = result with { Hidden = Hidden(batch) };
        if (_recorded.Has("mtp.0.logits")) result = result with { MtpLogits = MtpLogits(batch) };
        return _recorded.Has("batch.loss") ? Gradients(result, batch) : result;
    }

    private double Logits(string name, int[][] rows)
    {
        using var scope = Arena.Current.Scope();
        var batch = BatchOf(rows);
        return Largest(name, Model.Logits(batch, batch.Context()).Floats);
    }

    private double Hidden(Batch batch)
    {
        using var scope = Arena.Current.Scope();
        var (streams, step) = (new List<Tensor>(), batch.Context());
        step.HiddenStates = streams;
        Model.Logits(batch, step);
        return streams.Select((stream, layer) => Largest($"batch.hidden.{layer}", stream.Floats)).Max();
    }

    /// <summary>Ours have as many places as there are tokens; the last ones mean nothing.</summary>
    private double MtpLogits(Batch batch)
    {
        using var scope = Arena.Current.Scope();
        var later = RequireLater().MtpLogits(batch, batch.Context());
        var (largest, length) = (0.0, batch.Inputs.Shape[1]);
        for (var depth = 0; _recorded.Has($"mtp.{depth}.logits"); depth++)
        {
            if (depth >= later.Count)
                throw new InvalidDataException($"mtp.{depth}.logits were recorded, but the model predicts {later.Count} later tokens");
            var places = length - 1 - depth;
            if (places < 1)
                throw new InvalidDataException(
                    $"mtp.{depth}.logits were recorded of rows of {length} tokens, which have none so far ahead");
            var all = later[depth].ToArray().Chunk(length * Model.Vocabulary);
            var found = all.SelectMany(row => row.Take(places * Model.Vocabulary)).ToArray();
            largest = Math.Max(largest, Largest($"mtp.{depth}.logits", found));
        }

        return largest;
    }

    private DecoderModel RequireLater() =>
        Model as DecoderModel ?? throw new InvalidDataException("later tokens were recorded, but the model is no decoder");

    private VerificationResult Gradients(VerificationResult result, Batch batch)
    {
        using var tape = Tape.Record();
        var step = batch.Context();
        step.IsTraining = _recorded.Has("main.loss"); // with the losses of later tokens
        var total = Model.Loss(batch, step);
        if (step.IsTraining)
        {
            var later = step.Losses.FirstOrDefault(loss => loss.Name == "mtp").Loss
                ?? throw new InvalidDataException("losses of later tokens were recorded, but the model predicts none");
            var depths = Enumerable.Range(0, int.MaxValue).TakeWhile(depth => _recorded.Has($"mtp.{depth}.loss"));
            float[] expected = [.. depths.Select(depth => Loss($"mtp.{depth}.loss"))];
            if (expected.Length == 0) throw new InvalidDataException("main.loss was recorded without mtp.0.loss");
            result = result with
            {
                LaterLosses = Distance(expected.Average(), later.Item()), Loss = Distance(Loss("main.loss"), total.Item()),
            };
            total = Op.Add(total, Op.Scale(later, _recorded.LaterWeight));
        }

        result = result with { Loss = Math.Max(result.Loss ?? 0, Distance(Loss("batch.loss"), total.Item())) };
        if (!_recorded.Names.Any(name => name.StartsWith(GradientComparison.Prefix, StringComparison.Ordinal))) return result;
        tape.Backward(total);
        var (worst, difference) = GradientComparison.Worst(_folder, _recorded);
        return result with { Gradients = difference, WorstGradient = worst };
    }

    private float Loss(string name) => _recorded.Floats(name, 1)[0];

    /// <summary>Recorded rows are padded to the left, with positions from the first real token; ours are padded to the right.</summary>
    private double Padded()
    {
        using var scope = Arena.Current.Scope();
        var (rows, masks) = (Tokens("padded.input_ids"), _recorded.Rows("padded.mask"));
        var length = rows[0].Length;
        if (masks.Length != rows.Length || masks[0].Length != length || !masks.All(IsMask))
        {
            throw new InvalidDataException(
                "'padded.mask' must hold 0 or 1 for each of 'padded.input_ids': in each row 1 for one token or more, all at its end");
        }

        var batch = BatchOf(
            [.. rows.Zip(masks, (row, mask) => row.Zip(mask).OrderBy(token => token.Second == 0).Select(token => token.First).ToArray())]);
        batch.Lengths = Tensor.From([.. masks.Select(mask => mask.Sum())], [rows.Length]);
        var found = Model.Logits(batch, batch.Context()).ToArray();
        var expected = _recorded.Floats("padded.logits", found.Length);
        var largest = 0.0;
        for (var row = 0; row < rows.Length; row++)
        {
            var real = masks[row].Sum();
            var (ours, theirs) = (row * length * Model.Vocabulary, ((row * length) + length - real) * Model.Vocabulary);
            largest = Math.Max(
                largest, Largest(expected.AsSpan(theirs, real * Model.Vocabulary), found.AsSpan(ours, real * Model.Vocabulary)));
        }

        return largest;
    }

    private static bool IsMask(int[] row) => row.All(one => one is 0 or 1) && row[^1] != 0 && row.Order().SequenceEqual(row);

    /// <summary>After each token the recorded one is read, so that a tie does not turn all that follows.</summary>
    private VerificationResult Greedy(VerificationResult result)
    {
        var (prompt, tokens) = (OneRow("greedy.prompt"), OneRow("greedy.tokens"));
        RequirePositions("greedy.tokens", prompt.Length + tokens.Length - 1);
        float[] margins = _recorded.Has("greedy.margin")
            ? _recorded.Floats("greedy.margin", tokens.Length)
            : [.. tokens.Select(_ => float.PositiveInfinity)];
        if (!margins.All(margin => margin >= 0)) throw new InvalidDataException("'greedy.margin' must hold numbers of at least 0");
        var sequence = new DecodingSession(Model) is var session && Model.ReadsSource ? session.Add(prompt) : session.Add();
        var equal = 0;
        for (var place = 0; place < tokens.Length; place++)
        {
            using var scope = Arena.Current.Scope();
            if (place > 0) sequence.Read(tokens[place - 1]);
            else sequence.Read(Model.ReadsSource ? PromptFormat.Own.TargetOpening() : prompt);
            var logits = session.Step();
            if (Chooses(logits.Floats, tokens[place], mayTie: margins[place] < Tie)) equal++;
        }

        return result with { GreedyTokens = tokens.Length, GreedyEqual = equal };
    }

    /// <summary>Whether a token is the model's choice, or, where it may, ties with it in the model's own logits.</summary>
    private static bool Chooses(ReadOnlySpan<float> logits, int token, bool mayTie)
    {
        var best = System.Numerics.Tensors.TensorPrimitives.IndexOfMax(logits);
        // Where one of them is not a number, the best is it, and this is none.
        var behind = logits[best] - logits[token];
        return !float.IsNaN(behind) && (best == token || (mayTie && behind < Tie));
    }

    private double Cached(int[][] rows)
    {
        var (length, largest) = (rows[0].Length, 0.0);
        // Where positions depend on the length, the logits of a place do: then each beginning is a sequence of its own.
        var isOne = !Model.Modules().Any(module => module.Module is PositionEncoding { AlwaysStays: false });
        var whole = isOne ? Whole(length) : null;
        var first = Math.Min(CachedPrompt, length);
        var session = new DecodingSession(Model);
        DecodingSequence[] sequences = [.. rows.Select(_ => session.Add())];
        for (var place = first - 1; place < length; place++)
        {
            using var scope = Arena.Current.Scope();
            for (var row = 0; row < rows.Length; row++) sequences[row].Read(place < first ? rows[row][..first] : [rows[row][place]]);
            var logits = session.Step();
            var expected = whole ?? Whole(place + 1);
            for (var row = 0; row < rows.Length; row++)
            {
                var at = ((row * expected.Length / rows.Length / Model.Vocabulary) + place) * Model.Vocabulary;
                var found = logits.Floats.Slice(sequences[row].LogitsRow * Model.Vocabulary, Model.Vocabulary);
                largest = Math.Max(largest, Largest(expected.AsSpan(at, Model.Vocabulary), found));
            }
        }

        return largest;

        float[] Whole(int tokens)
        {
            using var scope = Arena.Current.Scope();
            var batch = BatchOf([.. rows.Select(row => row[..tokens])]);
            return Model.Logits(batch, batch.Context()).ToArray();
        }
    }

    /// <summary>Each token is to predict the one after it.</summary>
    private static Batch BatchOf(int[][] rows)
    {
        var (count, length) = (rows.Length, rows[0].Length);
        int[] targets = [.. rows.SelectMany(row => row.Skip(1).Append(-1))];
        var batch = Models.Batch.Of(
            Tensor.From([.. rows.SelectMany(row => row)], [count, length]), Tensor.From(targets, [count, length]),
            Models.Batch.PositionsFromStart(count, length));
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
    private static double Distance(double expected, double found) =>
        Math.Abs(expected - found) is var distance && double.IsNaN(distance) ? double.PositiveInfinity : distance;
}
