using Tessera.Evaluation.Metrics;
using Tessera.Tensors;
using Tessera.Text.Corpora;
using Tessera.Training.Data;
using Tessera.Training.Objectives;

namespace Tessera.Evaluation.Tasks;

/// <summary>What a model is compared with that has learned nothing of its kind: the nearest training pair, frequencies of tokens, an even
/// guess.</summary>
internal static class Baselines
{
    /// <summary>Frequencies are counted on so many characters of training texts at most.</summary>
    private const long MostCharacters = 4_000_000;

    /// <summary>Answers each source with the target of the training pair whose source is most like it.</summary>
    public static SystemScore NearestPair(IReadOnlyList<Example> train, IReadOnlyList<Example> examples, EvaluationRequest request)
    {
        var nearest = new NearestPairBaseline([.. train.Select(example => (example.Source!, example.Target))]);
        string[] outputs = [.. examples.Select(example => nearest.Predict(example.Source!))];
        string[] references = [.. examples.Select(example => example.Target)];
        var sheet = new ScoreSheet();
        foreach (var metric in request.Metrics)
        {
            if (metric.Measure is not null) sheet.Set(metric.Name, metric.Measure(outputs, references));
            else sheet.Leave(metric.Name, "is of models alone");
        }

        return sheet.Of("nearest training pair");
    }

    /// <summary>The likelihood, of the same tokens as the model's, by frequencies of trigrams and of single tokens in the training texts,
    /// and where every token is as likely as any.</summary>
    /// <param name="objective">The model's, for its tokens.</param>
    /// <param name="train">The training texts.</param>
    /// <param name="examples">The held-out texts.</param>
    /// <param name="batches">Lengths of rows, as the model's.</param>
    /// <param name="model">The model's figures: tokens and bytes are the same.</param>
    /// <param name="request">What to measure.</param>
    public static IEnumerable<SystemScore> OfTokens(
        Objective objective, IReadOnlyList<Example> train, IReadOnlyList<Example> examples, BatchOptions batches, SystemScore model,
        EvaluationRequest request)
    {
        var (seen, held) = (objective.Prepare(Beginning(train), batches), objective.Prepare(examples, batches));
        foreach (var (name, order) in ((string, int)[])[("trigrams", 3), ("unigrams", 1)])
        {
            var ngrams = new NgramModel(order, objective.Model.Vocabulary);
            EachTarget(seen, order, ngrams.Add);
            var nats = 0.0;
            EachTarget(held, order, (context, token) => nats -= Math.Log(ngrams.Probability(context, token)));
            yield return Score(name, nats);
        }

        yield return Score("even guess", model.Tokens * Math.Log(objective.Model.Vocabulary));

        SystemScore Score(string name, double nats)
        {
            var (sheet, measure) = (new ScoreSheet(), new Perplexity(nats, model.Tokens, model.Bytes));
            foreach (var metric in request.Metrics)
            {
                if (metric.Name == "perplexity") sheet.Set(metric.Name, measure.Value);
                else if (metric.Name == "bits-per-byte" && model.Values.ContainsKey(metric.Name))
                    sheet.Set(metric.Name, measure.BitsPerByte);
                else sheet.Leave(metric.Name, "is of models alone");
            }

            return sheet.Of(name, model.Tokens, model.Bytes);
        }
    }

    private delegate void Target(ReadOnlySpan<int> context, int token);

    /// <summary>Hands on every token that is to be predicted, with at most order − 1 tokens of its own text before it.</summary>
    private static void EachTarget(Dataset data, int order, Target use)
    {
        var batches = data.InOrder(int.MaxValue).GetEnumerator();
        while (true)
        {
            using var scope = Arena.Current.Scope();
            if (!batches.MoveNext()) break;
            var batch = batches.Current;
            var inputs = batch.Inputs.Ints;
            var targets = batch.Targets.Ints;
            var length = batch.Inputs.Shape[1];
            for (var i = 0; i < targets.Length; i++)
            {
                if (targets[i] < 0) continue;
                var count = 0;
                while (count < order - 1 && count <= i % length && SameText(batch, i, i - count)) count++;
                use(inputs.Slice(i + 1 - count, count), targets[i]);
            }

            GC.KeepAlive(batch);
        }
    }

    private static bool SameText(Models.Batch batch, int place, int before) =>
        batch.Segments is not { } segments || segments.Ints[place] == segments.Ints[before];

    private static Example[] Beginning(IReadOnlyList<Example> train)
    {
        var characters = 0L;
        return [.. train.TakeWhile((example, i) => (characters += example.Target.Length) <= MostCharacters || i == 0)];
    }
}
