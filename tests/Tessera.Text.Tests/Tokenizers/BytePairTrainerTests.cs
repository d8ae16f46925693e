using System.Text.Json;
using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

public class BytePairTrainerTests
{
    private static readonly string[] _lines = TokenizerFixtures.TrainingLines();
    private static readonly JsonElement[] _runs = [.. TokenizerFixtures.Info("training", "runs").EnumerateArray()];

    [Fact]
    public void Training_on_bytes_gives_the_merges_of_the_reference() =>
        Agrees("bytes-400", _lines, new BytePairTrainerOptions(400, SpecialTokens: ["<|endoftext|>"]));

    [SharedFact("data/java-cs/train.cs")]
    public void Training_on_code_gives_the_merges_of_the_reference()
    {
        var lines = File.ReadAllText(Fixture.Shared("data/java-cs/train.cs")!).Split('\n').Take(1500);
        Agrees("bytes-1200", lines, new BytePairTrainerOptions(1200, SpecialTokens: []));
    }

    [Fact]
    public void Training_on_characters_gives_the_merges_of_the_reference() =>
        Agrees("chars", _lines, Characters);

    [Fact]
    public void A_limited_alphabet_and_a_least_frequency_give_the_merges_of_the_reference() =>
        Agrees("chars-limit", _lines, Characters with { AlphabetLimit = 60, MinimumFrequency = 3 });

    [Fact]
    public void A_limited_token_length_gives_the_merges_of_the_reference() =>
        Agrees("chars-length", _lines, Characters with { TokenLengthLimit = 4 });

    [Fact]
    public void Training_with_the_pattern_of_Llama_3_gives_the_merges_of_the_reference()
    {
        var preTokenizer = new PreTokenizerSequence(
            new SplitPreTokenizer(SplitPreTokenizer.Llama3Pattern), new ByteLevelPreTokenizer(usePattern: false));
        Agrees("llama3-400", _lines, new BytePairTrainerOptions(400, SpecialTokens: [], PreTokenizer: preTokenizer));
    }

    [Fact]
    public void Training_agrees_with_counting_everything_again_after_each_merge()
    {
        // Few letters, so that overlapping pairs and equal counts are common.
        var text = Gen.Elements("abc ".ToCharArray()).ListOf().Select(letters => string.Concat(letters));
        Prop.ForAll(text.ListOf().ToArbitrary(), texts =>
        {
            var trained = BytePairTrainer.Train(texts, new BytePairTrainerOptions(300, SpecialTokens: []));
            var plain = PlainMerges(texts, 300 - 256);
            return Merges(trained).Take(plain.Count).SequenceEqual(plain);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void The_order_of_the_texts_does_not_matter()
    {
        // Enough for several threads.
        var texts = Enumerable.Repeat(_lines, 40).SelectMany(line => line).ToArray();
        var options = new BytePairTrainerOptions(600);
        var forwards = BytePairTrainer.Train(texts, options);
        var backwards = BytePairTrainer.Train(texts.Reverse(), options);
        Assert.Equal(Saved(forwards), Saved(backwards));
    }

    [Fact]
    public void Special_tokens_come_first_and_have_their_roles()
    {
        var tokenizer = BytePairTrainer.Train(["some text"], new BytePairTrainerOptions(300));
        Assert.Equal((0, 1, 2), (tokenizer.PaddingId, tokenizer.BeginId, tokenizer.EndId));
        Assert.Equal(["<pad>", "<s>", "</s>", "!"], Enumerable.Range(0, 4).Select(tokenizer.TokenText));
        Assert.Equal(2, tokenizer.Find("</s>"));
        Assert.Null(tokenizer.Find("<unk>"));
    }

    [Fact]
    public void No_text_can_spell_a_special_token()
    {
        var texts = Enumerable.Repeat("a</s>b </s> </s>", 50);
        var whole = new SplitPreTokenizer("[^ ]+");
        var preTokenizer = new PreTokenizerSequence(whole, new ByteLevelPreTokenizer(usePattern: false));
        var tokenizer = BytePairTrainer.Train(texts, new BytePairTrainerOptions(400, PreTokenizer: preTokenizer));
        Assert.DoesNotContain(2, tokenizer.EncodeOrdinary("a</s>b </s>"));
        Assert.Contains(2, tokenizer.Encode("a</s>b </s>"));
    }

    [Fact]
    public void Fewer_tokens_come_out_where_no_pair_is_left()
    {
        var tokenizer = BytePairTrainer.Train(["ab ab"], new BytePairTrainerOptions(1000, SpecialTokens: []));
        // ab and Ġab.
        Assert.Equal(258, tokenizer.VocabularySize);
    }

    [Fact]
    public void Characters_outside_the_alphabet_become_the_unknown_token()
    {
        var options = Characters with { UnknownToken = "<unk>", VocabularySize = 20 };
        var tokenizer = BytePairTrainer.Train(["abc cab 𝕳𝕳"], options);
        Assert.Equal(["<unk>", "<unk>", "𝕳𝕳"], tokenizer.Encode("xz 𝕳𝕳").Select(tokenizer.TokenText));
    }

    [Fact]
    public void Impossible_options_are_refused()
    {
        Refused(new BytePairTrainerOptions(0), "VocabularySize");
        Refused(new BytePairTrainerOptions(200), "256");
        Refused(new BytePairTrainerOptions(300, MinimumFrequency: -1), "MinimumFrequency");
        Refused(new BytePairTrainerOptions(300, SpecialTokens: ["a", "a"]), "'a'");
        Refused(new BytePairTrainerOptions(300, SpecialTokens: [""]), "SpecialTokens");
        Refused(new BytePairTrainerOptions(300, AlphabetLimit: 10), "AlphabetLimit");
        Refused(new BytePairTrainerOptions(300, UnknownToken: "<unk>"), "<unk>");

        static void Refused(BytePairTrainerOptions options, string named)
        {
            var error = Assert.ThrowsAny<ArgumentException>(() => BytePairTrainer.Train(["text"], options));
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Training_can_be_stopped()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(
            () => BytePairTrainer.Train(["text"], new BytePairTrainerOptions(300), source.Token));
    }

    [Fact]
    public void What_goes_wrong_while_texts_are_read_reaches_the_caller()
    {
        Assert.Throws<IOException>(() => BytePairTrainer.Train(Texts(), new BytePairTrainerOptions(300)));
        Assert.Throws<ArgumentException>(() => BytePairTrainer.Train([null!], new BytePairTrainerOptions(300)));

        static IEnumerable<string> Texts()
        {
            yield return "one";
            throw new IOException("the disk is gone");
        }
    }

    private static BytePairTrainerOptions Characters =>
        new(400, SpecialTokens: ["<unk>"], PreTokenizer: new WhitespacePreTokenizer());

    private static void Agrees(string name, IEnumerable<string> texts, BytePairTrainerOptions options)
    {
        var run = _runs.Single(run => run.GetProperty("name").GetString() == name);
        var tokenizer = BytePairTrainer.Train(texts, options);
        Assert.Equal(Pairs(run.GetProperty("merges")), Merges(tokenizer));
        if (!run.TryGetProperty("vocab", out var vocabulary)) return;
        Assert.Equal(
            vocabulary.EnumerateObject().Select(token => (token.Value.GetInt32(), token.Name)).Order(),
            Enumerable.Range(0, tokenizer.VocabularySize).Select(id => (id, tokenizer.TokenText(id))));
    }

    private static string Saved(Tokenizer tokenizer)
    {
        using var folder = new TemporaryFolder();
        tokenizer.Save(folder.File("tokenizer.json"));
        return File.ReadAllText(folder.File("tokenizer.json"));
    }

    private static (string Left, string Right)[] Merges(Tokenizer tokenizer)
    {
        using var document = JsonDocument.Parse(Saved(tokenizer));
        return Pairs(document.RootElement.GetProperty("model").GetProperty("merges"));
    }

    private static (string Left, string Right)[] Pairs(JsonElement merges) =>
        [.. merges.EnumerateArray().Select(merge => (merge[0].GetString()!, merge[1].GetString()!))];

    /// <summary>
    /// Merges of words of a, b, c and blanks before them, the slow and obvious way, until two pairs make the same
    /// token.
    /// </summary>
    private static List<(string, string)> PlainMerges(IEnumerable<string> texts, int count)
    {
        var words = texts.SelectMany(text => Regex.Matches(text, @" ?[a-z]+|\s+(?!\S)|\s+"))
            .Select(match => match.Value.Replace(' ', 'Ġ').Select(letter => letter.ToString()).ToList()).ToList();
        var order = new Dictionary<string, int>();
        foreach (var letter in "abcĠ") order[letter.ToString()] = order.Count;
        var merges = new List<(string, string)>();
        while (order.Count < count + 4)
        {
            var pairs = words.SelectMany(word => word.Zip(word.Skip(1))).GroupBy(pair => pair).ToArray();
            if (pairs.Length == 0) break;
            var (left, right) = pairs.OrderByDescending(pair => pair.Count())
                .ThenBy(pair => order[pair.Key.First]).ThenBy(pair => order[pair.Key.Second]).First().Key;
            if (!order.TryAdd(left + right, order.Count)) break;
            merges.Add((left, right));
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] != left || word[i + 1] != right) continue;
                    word[i] += right;
                    word.RemoveAt(i + 1);
                }
            }
        }

        return merges;
    }
}
