using System.Diagnostics;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

public class TokenizerTests
{
    private static readonly string[] _lines = TokenizerFixtures.TrainingLines();
    private static readonly BytePairTokenizer _trained = BytePairTrainer.Train(_lines, new BytePairTrainerOptions(700));

    [Fact]
    public void Any_text_comes_back_from_its_ids()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<string>(), text => RoundTrips(text ?? "")).QuickCheckThrowOnFailure();
        Prop.ForAll(Texts(), RoundTrips).QuickCheckThrowOnFailure();

        static bool RoundTrips(string text)
        {
            var valid = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
            return _trained.Decode(_trained.EncodeOrdinary(text)) == valid;
        }
    }

    [Fact]
    public void Hand_written_scanners_cut_as_the_regular_expressions_do()
    {
        string[] expressions =
            [SplitPreTokenizer.Gpt2Pattern, SplitPreTokenizer.Llama3Pattern, SplitPreTokenizer.Qwen2Pattern];
        foreach (var expression in expressions)
        {
            var scanner = SplitPattern.For(expression);
            Assert.IsNotType<RegexPattern>(scanner);
            var regex = new RegexPattern(expression);
            Prop.ForAll(Texts(), text => Pieces(scanner, text).SequenceEqual(Pieces(regex, text)))
                .QuickCheckThrowOnFailure();
        }

        static List<Piece> Pieces(SplitPattern pattern, string text)
        {
            var pieces = new List<Piece>();
            pattern.Match(text, 0, pieces);
            return pieces;
        }
    }

    [Fact]
    public void Special_tokens_in_ordinary_text_are_text()
    {
        Assert.Equal([2], _trained.Encode("</s>"));
        Assert.DoesNotContain(_trained.EncodeOrdinary("</s>"), id => id <= 2);
        Assert.Equal("a</s>b", _trained.Decode(_trained.EncodeOrdinary("a</s>b")));
        Assert.Equal("ab", _trained.Decode(_trained.Encode("a</s>b")));
        Assert.Equal([.. _trained.Encode("a"), 2, .. _trained.Encode("b")], _trained.Encode("a</s>b"));
    }

    [Fact]
    public void Halves_of_surrogate_pairs_are_replacement_characters()
    {
        Assert.Equal("a\ufffd", _trained.Decode(_trained.Encode("a\ud83d")));
        Assert.Equal("\ufffda", _trained.Decode(_trained.EncodeOrdinary("\ude00a")));
        Assert.Equal("\ufffd😀", _trained.Decode(_trained.Encode("\ud83d😀")));
        Assert.Equal(_trained.Encode("a \ufffd b"), _trained.Encode("a \ud83d b"));
    }

    [Fact]
    public void Bytes_that_are_no_text_decode_to_replacement_characters()
    {
        var bytes = Encoding.UTF8.GetBytes("😀");
        var ids = bytes.Select(value => _trained.Find(ByteAlphabet.Characters[value].ToString())!.Value).ToArray();
        Assert.Equal("😀", _trained.Decode(ids));
        Assert.Equal("\ufffdx", _trained.Decode([.. ids[..3], .. _trained.Encode("x")]));
        Assert.Equal("\ufffd\ufffd", _trained.Decode([ids[1], ids[2]]));
    }

    [Fact]
    public void Ids_of_no_token_decode_to_nothing_and_have_no_text()
    {
        Assert.Equal("", _trained.Decode([-1, _trained.VocabularySize, int.MaxValue]));
        Assert.Throws<ArgumentOutOfRangeException>(() => _trained.TokenText(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => _trained.TokenText(_trained.VocabularySize));
    }

    [Fact]
    public void Every_token_is_found_by_its_text()
    {
        for (var id = 0; id < _trained.VocabularySize; id++) Assert.Equal(id, _trained.Find(_trained.TokenText(id)));
    }

    [Fact]
    public void A_merge_is_applied_in_the_order_it_was_learned()
    {
        // ab before bc; the leftmost of equals first; a result can be joined again at once.
        var merges = new MergeTable([(0, 1, 10), (1, 2, 11), (10, 10, 12), (3, 3, 13)]);
        Assert.Equal([10, 2], Applied(0, 1, 2));
        Assert.Equal([11, 2], Applied(1, 2, 2));
        Assert.Equal([12, 10], Applied(0, 1, 0, 1, 0, 1));
        Assert.Equal([13, 13, 3], Applied(3, 3, 3, 3, 3));

        int[] Applied(params int[] ids) => ids[..merges.Apply(ids)];
    }

    [Fact]
    public void A_long_word_takes_time_in_proportion_to_its_length()
    {
        var random = new Random(3);
        var word = string.Create(300_000, random, (letters, source) => source.GetItems("aeinorst", letters));
        var watch = Stopwatch.StartNew();
        var ids = _trained.Encode(word);
        // Quadratic work takes minutes.
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"took {watch.Elapsed}");
        Assert.Equal(word, _trained.Decode(ids));
        Assert.True(ids.Length < word.Length * 0.7);
    }

    [Fact]
    public void Threads_share_a_tokenizer()
    {
        var expected = _lines.Select(_trained.Encode).ToArray();
        var fresh = BytePairTrainer.Train(_lines, new BytePairTrainerOptions(700));
        Parallel.For(0, 2000, i => Assert.Equal(expected[i % _lines.Length], fresh.Encode(_lines[i % _lines.Length])));
    }

    [Fact]
    public void Composition_agrees_with_Unicode()
    {
        var rows = JsonSerializer.Deserialize<string[][]>(File.ReadAllBytes(Fixture.Local("tokenizers/nfc.json")))!;
        Assert.Equal(400, rows.Length);
        foreach (var row in rows) Assert.Equal(row[1], new NfcNormalizer().Normalize(row[0]));
    }

    [Fact]
    public void Decomposition_and_compatibility_agree_with_Unicode()
    {
        var rows = JsonSerializer.Deserialize<string[][]>(File.ReadAllBytes(Fixture.Local("tokenizers/forms.json")))!;
        Assert.Equal(300, rows.Length);
        foreach (var row in rows)
        {
            Assert.Equal(row[1], new NfdNormalizer().Normalize(row[0]));
            Assert.Equal(row[2], new NfkcNormalizer().Normalize(row[0]));
            Assert.Equal(row[3], new NfkdNormalizer().Normalize(row[0]));
        }
    }

    [Fact]
    public void Expressions_that_cannot_be_read_are_refused_by_what_they_hold()
    {
        (string Expression, string Construct)[] all =
        [
            ("(", "a group without an end"), (")", "an unmatched ')'"), ("[a", "a class without an end"), ("+", "'+' after nothing"),
            (@"\p{X}", @"\p{X}"), (@"(a)\1", @"\1"), (@"\X", @"\X"), ("(?x:a)", "(?x"), ("(?~a)", "(?~"),
            ("[z-a]", "ends before it begins"),
            ("[[:none:]]", "[:none:]"), ("a{100001}", "{100001}"), ("\\", "a backslash at the end"),
            (new string('(', 200) + new string(')', 200), "more than 100 groups"), (new string('[', 200), "more than 100 classes"),
        ];
        foreach (var (expression, construct) in all)
        {
            var error = Assert.Throws<ArgumentException>(() => new SplitPreTokenizer(expression));
            Assert.Contains(construct, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_byte_level_step_can_only_be_the_last()
    {
        var words = new WhitespacePreTokenizer();
        Assert.Throws<ArgumentException>(() => new PreTokenizerSequence());
        Assert.Throws<ArgumentException>(() => new PreTokenizerSequence(new ByteLevelPreTokenizer(), words));
        var prefixing = new ByteLevelPreTokenizer(addPrefixSpace: true);
        Assert.Throws<ArgumentException>(() => new PreTokenizerSequence(words, prefixing));
    }

    /// <summary>Texts in which what the patterns tell apart comes close together.</summary>
    private static Arbitrary<string> Texts()
    {
        string[] parts =
        [
            "a", "Zé", "the", "'s", "'S", "'ſ", "'ll", "'Re", "'", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000",
            "\u0085", "1", "23", "456", "½", "𝟙", "𝕳", "𠀀", "😀", ".", "!?", "$", "_", "你好", "e\u0301", "\u200d", "한",
            "\u1112\u1161\u11ab", "</s>", "\ufffd", "\0", "ǅ",
        ];
        return Gen.Elements(parts).ListOf().Select(list => string.Concat(list)).ToArbitrary();
    }
}
