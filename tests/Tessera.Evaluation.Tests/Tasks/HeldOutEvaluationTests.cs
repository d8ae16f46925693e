using System.Text.Json;
using Tessera.Evaluation.Metrics;
using Tessera.Evaluation.Tasks;
using Tessera.Generation;
using Tessera.Models;
using Tessera.Models.Decoding;
using Tessera.Models.Recipes;
using Tessera.Tensors;
using Tessera.Nn;
using Tessera.Text.Corpora;
using Tessera.Text.Templates;
using Tessera.Text.Tokenizers;
using Tessera.Training.Objectives;

namespace Tessera.Evaluation.Tests.Tasks;

public sealed class HeldOutEvaluationTests
{
    private const string Layers = """
        { "layers": 1, "attention": { "kind": "multi-head", "heads": 2, "position": { "kind": "rotary" } },
          "feedForward": { "kind": "experts", "shared": 1, "routed": 2, "active": 1, "router": { "kind": "two-stage" }, "expert": { "kind": "swiglu", "hidden": 16 } } }
        """;

    private static readonly Example[] s_train =
        [new("alpha beta gamma", "int A();", "a"), new("delta epsilon zeta", "void D();", "d"), new("eta theta iota", "bool E();", "e")];

    private static readonly Example[] s_held =
    [
        new("alpha beta", "int A();", "x"), new("delta zeta", "int F();", "y"), new("eta", "bool E();", "z")];

    private static readonly SemicolonValidator s_validator = new();

    private static readonly Tokenizer s_tokenizer = BytePairTrainer.Train(
        s_train.SelectMany(example => new[] { example.Source!, example.Target }),
        new BytePairTrainerOptions(280, SpecialTokens: SpecialTokens.Texts));

    [Fact]
    public void Every_figure_is_its_metric_of_the_outputs()
    {
        var model = Model(readsSource: true);
        var result = HeldOutEvaluation.Run(
            model, new Corpus(s_train, [], s_held), new EvaluationRequest(Metric.All(s_validator), new BeamOptions(2), s_validator),
            seed: 9);
        Assert.Equal(("test", 3), (result.Split, result.Examples));
        Assert.Equal(["this model", "nearest training pair", "untrained model"], result.Systems.Select(system => system.System));

        var references = s_held.Select(example => example.Target).ToList();
        var language = new LanguageModel(model);
        var outputs = s_held.Select(example => language.Generate(example.Source!, new BeamOptions(2))).ToList();
        var values = result.Systems[0].Values;
        AssertMeasured(outputs, references, values);
        Assert.Equal(Perplexity(model), values["perplexity"], 1e-3 * values["perplexity"]);
        var loads = Assert.Single(result.ExpertUse).Value.Select(count => (double)count).ToArray();
        Assert.Equal(Math.Pow(loads.Sum(), 2) / (loads.Length * loads.Sum(load => load * load)), values["expert-use"], 1e-9);
        Assert.True(values["speed"] > 0);
        Assert.Equal(
            s_held.Zip(outputs).Select(pair => (pair.First.Source!, pair.First.Target, pair.Second)),
            result.Samples.Select(sample => (sample.Source, sample.Reference, sample.Output)));
        Assert.Equal(outputs.Select(output => (bool?)s_validator.IsValid(output)), result.Samples.Select(sample => sample.Valid));

        // The nearest training sources share two, two and one words; the second's target differs.
        AssertMeasured(["int A();", "void D();", "bool E();"], references, result.Systems[1].Values);
        Assert.Equal(200 / 3.0, result.Systems[1].Values["exact-match"], 1e-9);
        Assert.Equal("is of models alone", result.Systems[1].Absent["perplexity"]);
        Assert.Equal(
            Perplexity(model with { Model = model.Config.Model.Build(model.Config.Vocabulary, 9) }), result.Systems[2].Values["perplexity"],
            0.5);
    }

    [Fact]
    public void Validation_examples_stand_in_for_a_missing_test_and_none_is_an_error()
    {
        var request = new EvaluationRequest(
            Metric.Named(["perplexity"], s_validator), new GreedyOptions { MaxNewTokens = 2 }, Examples: 2, Baselines: false);
        var result = HeldOutEvaluation.Run(Model(readsSource: true), new Corpus(s_train, s_held, []), request);
        Assert.Equal(("validation", 2), (result.Split, result.Examples));
        Assert.Equal(["alpha beta", "delta zeta"], result.Samples.Select(sample => sample.Source)); // spread: 0 and 3 / 2
        Assert.All(result.Samples, sample => Assert.Null(sample.Valid)); // nobody asked
        Assert.Single(result.Systems);
        var error = Assert.Throws<InvalidDataException>(() =>
            HeldOutEvaluation.Run(Model(readsSource: true), new Corpus(s_train, [], []), request)
        );
        Assert.Equal(
            "data: the corpus has neither test nor validation examples; set data.testFraction, or give it more than two groups of examples",
            error.Message);
    }

    [Fact]
    public void Sources_longer_than_the_model_reads_are_cut_as_in_training()
    {
        var longer = new Example(string.Join(' ', Enumerable.Repeat("omega", 40)), "int A();", "w");
        var result = HeldOutEvaluation.Run(
            Model(readsSource: true), new Corpus(s_train, [], [longer]),
            new EvaluationRequest(Metric.Named(["exact-match", "perplexity"], s_validator), new GreedyOptions()));
        Assert.Equal(1, result.Examples);
        Assert.True(double.IsFinite(result.Systems[0].Values["perplexity"]));
    }

    [Fact]
    public void A_decoder_of_pairs_answers_after_what_stood_before_targets_in_training()
    {
        var model = Model(readsSource: false);
        var result = HeldOutEvaluation.Run(
            model, new Corpus(s_train, [], s_held), new EvaluationRequest(Metric.All(s_validator), new GreedyOptions(), s_validator),
            seed: 9);
        Assert.Equal(["this model", "nearest training pair", "untrained model"], result.Systems.Select(system => system.System));
        var language = new LanguageModel(model);
        var outputs = s_held.Select(example => language.Generate(example.Source + "\n", new GreedyOptions { MaxNewTokens = 32 })).ToList();
        AssertMeasured(outputs, [.. s_held.Select(example => example.Target)], result.Systems[0].Values);
        Assert.Equal(outputs, result.Samples.Select(sample => sample.Output));
        Assert.True(result.Systems[0].Values["speed"] > 0);
        var (nats, tokens) = (0.0, 0L);
        foreach (var example in s_held)
        {
            var (loss, predicted) = Nats(
                model, s_tokenizer.EncodeOrdinary(example.Source + "\n"), s_tokenizer.EncodeOrdinary(example.Target));
            (nats, tokens) = (nats + loss, tokens + predicted);
        }

        Assert.Equal(Math.Exp(nats / tokens), result.Systems[0].Values["perplexity"], 1e-3 * Math.Exp(nats / tokens));
        Assert.Equal(tokens, result.Systems[0].Tokens);
        AssertMeasured(["int A();", "void D();", "bool E();"], [.. s_held.Select(example => example.Target)], result.Systems[1].Values);
    }

    [Fact]
    public void The_last_answer_of_a_conversation_is_compared_after_what_was_said_before_it()
    {
        var template = ChatTemplate.Parse(
            "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}");
        var model = Model(readsSource: false);
        model = model with
        {
            PromptFormat = model.PromptFormat.WithChatTemplate(template, model.Tokenizer), Config = model.Config with { Length = 256 },
        };
        Example[] chats =
        [
            Chat(("user", "alpha"), ("assistant", "int A();"), ("user", "beta"), ("assistant", "void D();")),
            Chat(("user", "gamma"), ("assistant", "bool E();"), ("user", "thanks")),
        ];
        var result = HeldOutEvaluation.Run(
            model, new Corpus(chats, [], chats),
            new EvaluationRequest(
                Metric.Named(["exact-match", "perplexity", "bits-per-byte"], s_validator), new GreedyOptions { MaxNewTokens = 8 }));
        Assert.Equal([("beta", "void D();"), ("gamma", "bool E();")], result.Samples.Select(sample => (sample.Source, sample.Reference)));
        string[] prompts = ["[user]alpha\n[assistant]int A();\n[user]beta\n[assistant]", "[user]gamma\n[assistant]"];
        var outputs = Tessera.Generation.Generator.Generate(
            model.Model, [.. prompts.Select(prompt => s_tokenizer.Encode(prompt))], new GreedyOptions(), 8, [SpecialTokens.End]);
        Assert.Equal(outputs.Select(output => s_tokenizer.Decode([.. output.Ids])), result.Samples.Select(sample => sample.Output));
        Assert.Equal(
            ["this model", "trigrams", "unigrams", "even guess", "untrained model"], result.Systems.Select(system => system.System));
        Assert.True(result.Systems[0].Absent.ContainsKey("bits-per-byte"));

        static Example Chat(params (string Role, string Content)[] said) => new(null, "said", said[0].Content)
        {
            Conversation = JsonSerializer.Serialize(new { messages = said.Select(one => new { role = one.Role, content = one.Content }) }),
        };
    }

    [Fact]
    public void A_model_of_plain_text_has_baselines_continuations_and_a_speed()
    {
        var (train, texts) = (Texts(s_train), Texts(s_held));
        var model = Model(readsSource: false);
        model = model with { Config = model.Config with { Length = 256 } }; // each text whole in its row
        var request = new EvaluationRequest(
            Metric.Named(["perplexity", "bits-per-byte", "speed", "bleu-4", "accuracy"], s_validator), new GreedyOptions());
        var result = HeldOutEvaluation.Run(model, new Corpus(train, [], texts), request);
        Assert.Equal(
            ["this model", "trigrams", "unigrams", "even guess", "untrained model"], result.Systems.Select(system => system.System));
        var own = result.Systems[0];
        var (nats, tokens) = (0.0, 0L);
        foreach (var example in texts)
        {
            var (loss, predicted) = Nats(model, [], s_tokenizer.EncodeOrdinary(example.Target));
            (nats, tokens) = (nats + loss, tokens + predicted);
        }

        Assert.Equal(Math.Exp(nats / tokens), own.Values["perplexity"], 1e-3 * Math.Exp(nats / tokens));
        Assert.Equal(nats / Math.Log(2) / texts.Sum(text => text.Target.Length), own.Values["bits-per-byte"], 1e-3);
        Assert.Equal((tokens, texts.Sum(text => (long)text.Target.Length)), (own.Tokens, own.Bytes));
        Assert.True(own.Values["speed"] > 0);
        Assert.Equal("the examples have no sources to answer", own.Absent["bleu-4"]);
        Assert.Equal("the model tells no labels apart", own.Absent["accuracy"]);
        Assert.Equal(model.Config.Vocabulary, result.Systems[3].Values["perplexity"], 1e-9 * model.Config.Vocabulary);

        // Single tokens by hand: counts of the training texts with their ends, and an even guess for as many as are different.
        int[] seen = [.. train.SelectMany(text => (int[])[.. s_tokenizer.EncodeOrdinary(text.Target), SpecialTokens.End])];
        int[] held = [.. texts.SelectMany(text => (int[])[.. s_tokenizer.EncodeOrdinary(text.Target), SpecialTokens.End])];
        double types = seen.Distinct().Count();
        var expected = held.Average(
            token => -Math.Log((seen.Count(other => other == token) + (types / model.Config.Vocabulary)) / (seen.Length + types)));
        Assert.Equal(Math.Exp(expected), result.Systems[2].Values["perplexity"], 1e-9);
        Assert.InRange(result.Systems[1].Values["perplexity"], 1, result.Systems[2].Values["perplexity"]);

        Assert.All(result.Samples, sample => Assert.Contains(
            texts, text => text.Target.Contains(sample.Source + sample.Reference, StringComparison.Ordinal)));
        var first = result.Samples[0];
        var most = result.Samples.Max(sample => s_tokenizer.EncodeOrdinary(sample.Reference).Length);
        Assert.Equal(new LanguageModel(model).Generate(first.Source, new GreedyOptions { MaxNewTokens = most }), first.Output);
    }

    [Fact]
    public void An_evaluation_as_JSON_has_finite_numbers_and_reasons_and_is_read_back()
    {
        var texts = Texts(s_held);
        var result = HeldOutEvaluation.Run(
            Model(readsSource: false), new Corpus(texts, [], texts), new EvaluationRequest(Metric.All(s_validator), new GreedyOptions()));
        var line = EvaluationStore.Line(result);
        Assert.DoesNotContain("NaN", line, StringComparison.Ordinal);
        using var json = JsonDocument.Parse(line);
        foreach (var system in json.RootElement.GetProperty("systems").EnumerateArray())
        {
            var (values, absent) = (system.GetProperty("values"), system.GetProperty("absent"));
            Assert.All(values.EnumerateObject(), value => Assert.True(double.IsFinite(value.Value.GetDouble())));
            Assert.Equal(
                Metric.Names.Order(StringComparer.Ordinal),
                values.EnumerateObject().Concat(absent.EnumerateObject()).Select(one => one.Name).Order(StringComparer.Ordinal));
        }
    }

    [Fact]
    public void A_model_beside_another_is_compared_on_the_same_examples()
    {
        var (model, other) = (Model(readsSource: false), Model(readsSource: false, seed: 5));
        var metrics = Metric.Named(["perplexity", "bits-per-byte", "exact-match", "codexglue-bleu", "speed"], s_validator);
        var result = HeldOutEvaluation.Run(model, new Corpus(s_train, [], s_held),
            new EvaluationRequest(metrics, new GreedyOptions(), Baselines: false) { Beside = ("other", other) });
        Assert.Equal(["this model", "other"], result.Systems.Select(system => system.System));
        var alone = HeldOutEvaluation.Run(
            other, new Corpus(s_train, [], s_held), new EvaluationRequest(metrics, new GreedyOptions(), Baselines: false));
        Assert.Equal(alone.Systems[0].Values["perplexity"], result.Systems[1].Values["perplexity"]);
        Assert.Equal(metrics.Select(metric => metric.Name), result.Comparisons.Select(one => one.Metric));
        foreach (var one in result.Comparisons)
        {
            var (own, beside) = (result.Systems[0].Values[one.Metric], result.Systems[1].Values[one.Metric]);
            Assert.Equal((own, beside, own - beside), (one.Model, one.Beside, one.Difference));
            Assert.Equal(one.Metric is "codexglue-bleu" or "speed", one.PValue is null);
        }

        var same = HeldOutEvaluation.Run(model, new Corpus(s_train, [], s_held),
            new EvaluationRequest(metrics, new GreedyOptions(), Baselines: false) { Beside = ("itself", model) });
        Assert.Equal(0, same.Comparisons[0].Difference);
    }

    [Fact]
    public void Texts_are_measured_beside_another_model_and_an_even_guess()
    {
        var (model, other) = (Model(readsSource: false), Model(readsSource: false, seed: 5));
        string[] texts = ["int A(); void D();", "bool E(); int A();", "void"];
        var result = new TextEvaluation(8, 4) { Beside = ("other", other) }.Run(model, texts);
        Assert.Equal(["this model", "other", "even guess"], result.Systems.Select(system => system.System));
        var expected = texts.Aggregate(new Perplexity(0, 0), (sum, text) => sum + TextPerplexity.Measure(model, text, 8, 4).Total);
        var values = result.Systems[0].Values;
        Assert.Equal((expected.Value, expected.BitsPerByte), (values["perplexity"], values["bits-per-byte"]));
        Assert.Equal((expected.Tokens, expected.Bytes), (result.Systems[0].Tokens, result.Systems[0].Bytes));
        Assert.Equal(("text", 3, 8, 4), (result.Split, result.Examples, result.Windows!.Context, result.Windows.Stride));
        Assert.Equal(["perplexity", "bits-per-byte"], result.Comparisons.Select(one => one.Metric));
        Assert.All(result.Comparisons, one => Assert.InRange(one.PValue!.Value, 1e-9, 1));
        Assert.Contains("it is an encoder-decoder", Assert.Throws<InvalidDataException>(
            () => new TextEvaluation().Run(Model(readsSource: true), texts)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_that_learned_to_fill_gaps_of_texts_has_the_perplexity_of_those()
    {
        string[] special = [.. SpecialTokens.Texts, .. Enumerable.Range(0, 100).Select(i => $"<extra_id_{i}>")];
        var tokenizer = BytePairTrainer.Train(s_train.Select(example => example.Target),
            new BytePairTrainerOptions(370, SpecialTokens: special));
        var options = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(Options(readsSource: true), "test"));
        var config = new ModelConfig { Model = options, Vocabulary = tokenizer.VocabularySize, Length = 32, SourceLength = 24 };
        var model = new ModelFolder(config, tokenizer, options.Build(config.Vocabulary, seed: 1));
        var texts = s_held.Select(example => new Example(null, example.Target, example.Group)).ToList();
        var request = new EvaluationRequest(Metric.Named(["perplexity", "bleu-4"], s_validator), new GreedyOptions(),
            Objective: new SpanCorruptionOptions());
        var result = HeldOutEvaluation.Run(model, new Corpus(texts, [], texts), request);
        Assert.InRange(result.Systems[0].Values["perplexity"], 1, 10_000);
        Assert.Empty(result.Samples);
        Assert.Equal(result.Systems[0].Values["perplexity"],
            HeldOutEvaluation.Run(model, new Corpus(texts, [], texts), request).Systems[0].Values["perplexity"]);
        Assert.Contains("pairs need a source", Assert.Throws<InvalidDataException>(
            () => HeldOutEvaluation.Run(model, new Corpus(texts, [], texts), request with { Objective = null })).Message,
                StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("classes")]
    [InlineData("tags")]
    public void The_accuracy_of_labels_is_the_share_of_those_with_the_best_logit(string head)
    {
        var tokenizer = BytePairTrainer.Train(["left right"], new BytePairTrainerOptions(280, SpecialTokens: SpecialTokens.Texts));
        var options = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(
                $$"""
                { "kind": "encoder", "width": 16, "head": { "kind": "{{head}}", "labels": ["a", "b", "c"] }, "encoder": { "kind": "lstm", "layers": 1, "hidden": 8 } }
            """, "test"));
        var config = new ModelConfig
        {
            Model = options,
            Vocabulary = tokenizer.VocabularySize,
            Length = 32,
            SourceLength = 0,
        };
        var model = new ModelFolder(config, tokenizer, options.Build(config.Vocabulary, seed: 1));
        Example[] held =
        [
            .. Enumerable.Range(0, 40).Select(i => new Example($"{(i % 3 == 0 ? "left" : "right")}{i}", "abc"[i % 3].ToString(), $"{i}"))];
        var right = held.Count(example => example.Target == "abc"[Best(example.Source!)].ToString());
        var system = Assert.Single(HeldOutEvaluation.Run(
                    model, new Corpus(held, [], held),
                    new EvaluationRequest(Metric.Named(["accuracy", "bleu-4"], s_validator), new GreedyOptions()))
                .Systems);
        Assert.InRange(right, 1, 39);
        Assert.Equal(100 * right / 40.0, system.Values["accuracy"], 6);
        Assert.Equal("the model generates no text", system.Absent["bleu-4"]);

        int Best(string source)
        {
            using var scope = Arena.Current.Scope();
            int[] ids = [SpecialTokens.Begin, .. tokenizer.EncodeOrdinary(source), SpecialTokens.End];
            var inputs = Tensor.From(ids, [1, ids.Length]);
            var batch = Batch.Of(inputs, inputs, Batch.PositionsFromStart(1, ids.Length));
            var logits = model.Model.Logits(batch, batch.Context()).ToArray();
            var place = head == "tags" ? 3 : 0; // the first token of the only word
            return Enumerable.Range(0, 3).MaxBy(label => logits[place + label]);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Experts_are_counted_by_tokens_and_not_by_what_fills_up_rows(bool readsSource)
    {
        Example[] held = [new("alpha", "int A();", "x"), new("alpha beta gamma delta", "int A(); bool E();", "y")];
        var result = HeldOutEvaluation.Run(Model(readsSource), new Corpus(s_train, [], held),
            new EvaluationRequest(Metric.Named(["expert-use"], s_validator), new GreedyOptions { MaxNewTokens = 2 }, Baselines: false));
        // The decoder reads each target with its begin token and without its end; a decoder alone the source and a line break before it.
        var read = held.Sum(example => 1 + s_tokenizer.EncodeOrdinary(example.Target).Length
            + (readsSource ? 0 : s_tokenizer.EncodeOrdinary(example.Source + "\n").Length));
        Assert.Equal(read, Assert.Single(result.ExpertUse).Value.Sum());
    }

    [Fact]
    public void An_unknown_metric_is_told_with_its_place_and_those_there_are()
    {
        var error = Assert.Throws<RecipeException>(() => Metric.Named(["bleu-4", "blue"], s_validator));
        Assert.Equal(
            "evaluate[1]: is 'blue'; allowed: bleu-4, codexglue-bleu, exact-match, validity, perplexity, bits-per-byte, expert-use, speed, accuracy",
            error.Message);
        Assert.Equal("–", Metric.All(s_validator)[0].Show(double.NaN));
    }

    [Fact]
    public void Validity_is_that_of_the_validators_language() =>
        Assert.Equal(
            ["exact match %", "valid Semicolon %"], Metric.Named(["exact-match", "validity"], s_validator).Select(metric => metric.Title));

    private static void AssertMeasured(
        IReadOnlyList<string> outputs, IReadOnlyList<string> references, IReadOnlyDictionary<string, double> values)
    {
        Assert.Equal(CorpusBleu.Score(outputs, references).Score, values["bleu-4"], 1e-9);
        Assert.Equal(100 * CodeXGlueBleu.Score(outputs, references).Score, values["codexglue-bleu"], 1e-9);
        Assert.Equal(
            100.0
                * outputs.Count(output => output.IndexOf(';', StringComparison.Ordinal) == output.Length - 1 && output.Length > 0)
                / outputs.Count,
            values["validity"],
            1e-9);
        Assert.Equal(100.0 * outputs.Zip(references).Count(pair => pair.First == pair.Second) / outputs.Count, values["exact-match"], 1e-9);
    }

    /// <summary>From the log-probability of each token, one after the other.</summary>
    private static double Perplexity(ModelFolder model)
    {
        var (nats, tokens) = (0.0, 0);
        foreach (var example in s_held)
        {
            using var scope = Tessera.Tensors.Arena.Current.Scope();
            int[] target = [.. s_tokenizer.EncodeOrdinary(example.Target), SpecialTokens.End];
            var session = new DecodingSession(model.Model);
            var sequence = session.Add([.. s_tokenizer.EncodeOrdinary(example.Source!), SpecialTokens.End]);
            var read = SpecialTokens.Begin;
            foreach (var token in target)
            {
                sequence.Read(read);
                var logits = session.Step().Floats.ToArray();
                nats += Math.Log(logits.Sum(logit => Math.Exp(logit))) - logits[token];
                (read, tokens) = (token, tokens + 1);
            }
        }

        return Math.Exp(nats / tokens);
    }

    private static string Options(bool readsSource) => readsSource
            ? $$"""{ "kind": "encoder-decoder", "width": 16, "tieEmbeddings": true, "encoder": { "kind": "lstm", "layers": 1, "hidden": 8 }, "decoder": {{Layers}} }"""
            : $$"""{ "kind": "decoder", "width": 16, "decoder": {{Layers}} }""";

    /// <summary>The loss of a target after what a decoder reads, token by token, and how many tokens it has with its end.</summary>
    private static (double Nats, long Tokens) Nats(ModelFolder model, int[] read, int[] target)
    {
        using var scope = Arena.Current.Scope();
        var session = new DecodingSession(model.Model);
        var sequence = session.Add();
        int[] ids = [SpecialTokens.Begin, .. read, .. target, SpecialTokens.End];
        var nats = 0.0;
        for (var i = 0; i < ids.Length - 1; i++)
        {
            sequence.Read(ids[i]);
            var logits = session.Step().Floats.ToArray();
            if (i >= read.Length) nats += Math.Log(logits.Sum(logit => Math.Exp(logit))) - logits[ids[i + 1]];
        }

        return (nats, target.Length + 1);
    }

    private static Example[] Texts(IEnumerable<Example> pairs) =>
        [.. pairs.Select(example => new Example(null, $"{example.Source}: {example.Target}", example.Group))];

    private static ModelFolder Model(bool readsSource, ulong seed = 1)
    {
        var options = RecipeJson.Read<ModelOptions>(RecipeJson.Parse(Options(readsSource), "test"));
        var config = new ModelConfig { Model = options, Vocabulary = s_tokenizer.VocabularySize, Length = 32, SourceLength = 24 };
        return new ModelFolder(config, s_tokenizer, options.Build(config.Vocabulary, seed));
    }
}
