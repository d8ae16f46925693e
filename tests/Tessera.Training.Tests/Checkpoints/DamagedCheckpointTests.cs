using Tessera.Models.Formats;
using Tessera.Tensors;
using Tessera.Training.Checkpoints;

namespace Tessera.Training.Tests.Checkpoints;

public sealed class DamagedCheckpointTests : IDisposable
{
    private readonly CheckpointFolder _folder = new();
    private readonly CheckpointStore _store;
    private readonly string _newest;

    public DamagedCheckpointTests()
    {
        _store = new CheckpointStore(_folder.Store);
        CheckpointFolder.Save(_store, 1);
        _newest = CheckpointFolder.Save(_store, 2).Folder;
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("state.json")]
    [InlineData("recipe.json")]
    [InlineData("checkpoint.json")]
    public void A_flipped_byte_is_found_and_both_hashes_are_named(string name)
    {
        var path = Path.Combine(_newest, name);
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);
        var message = Assert.Throws<InvalidDataException>(() => Checkpoint.Load(_newest)).Message;
        Assert.StartsWith($"{path}: has been changed", message, StringComparison.Ordinal);
        Assert.Matches("expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}", message);
        FallsBack(path);
    }

    [Fact]
    public void Any_flipped_byte_of_the_hashes_is_found()
    {
        var path = Path.Combine(_newest, "hashes.json");
        var bytes = File.ReadAllBytes(path);
        var random = new Random(1);
        for (var at = 0; at < bytes.Length; at += random.Next(1, 9))
        {
            if (bytes[at] is (byte)' ' or (byte)'\n') continue; // white space may become other white space
            var changed = (byte[])bytes.Clone();
            changed[at] ^= 1;
            File.WriteAllBytes(path, changed);
            Assert.Throws<InvalidDataException>(() => Checkpoint.Load(_newest));
        }

        File.WriteAllBytes(path, bytes);
        CheckpointFolder.AssertIsOf(2, Checkpoint.Load(_newest));
    }

    [Fact]
    public void A_file_cut_short_or_grown_is_found_and_both_sizes_are_named()
    {
        var path = Path.Combine(_newest, "model.safetensors");
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..^5]);
        var message = Assert.Throws<InvalidDataException>(() => Checkpoint.Load(_newest)).Message;
        Assert.Equal($"{path}: is cut short: expected {bytes.Length} bytes, found {bytes.Length - 5}", message);
        FallsBack(path);
        File.WriteAllBytes(path, [.. bytes, 0]);
        Assert.Contains(
            "is too long", Assert.Throws<InvalidDataException>(() => Checkpoint.Load(_newest)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("hashes.json")]
    [InlineData("checkpoint.json")]
    public void A_missing_file_is_named(string name)
    {
        var path = Path.Combine(_newest, name);
        File.Delete(path);
        Assert.Equal($"{path}: is missing", Assert.Throws<InvalidDataException>(() => Checkpoint.Load(_newest)).Message);
        FallsBack(path);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[1]")]
    [InlineData("""{ "../../secret": { "bytes": 1, "sha256": "00" } }""")]
    [InlineData("""{ "/etc/passwd": { "bytes": 1, "sha256": "00" } }""")]
    [InlineData("""{ "model.safetensors": null }""")]
    [InlineData("""{ "model.safetensors": { "bytes": "many" } }""")]
    public void Hashes_that_name_other_folders_or_nothing_are_refused(string hashes)
    {
        var path = Path.Combine(_newest, "hashes.json");
        File.WriteAllText(path, hashes);
        Assert.StartsWith(path, Assert.Throws<InvalidDataException>(() => Checkpoint.Load(_newest)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_without_state_or_that_is_not_there_says_so()
    {
        var bare = _store.Save(3, writer => writer.Write("note", stream => stream.WriteByte(1)));
        var message = Assert.Throws<InvalidDataException>(() => bare.State<CheckpointFolder.TrainingState>()).Message;
        Assert.Contains("no file 'state.json'; it has: checkpoint.json, note", message, StringComparison.Ordinal);
        Assert.Throws<DirectoryNotFoundException>(() => Checkpoint.Load(_newest + "x"));
    }

    [Fact]
    public void Weights_of_another_shape_are_refused_with_both_shapes_and_the_model_stays()
    {
        var path = Path.Combine(_newest, "model.safetensors");
        var model = new CheckpointFolder.TwoParts(9, rows: 5);
        var message = Assert.Throws<InvalidDataException>(() => Weights.Load(path, model)).Message;
        Assert.Equal($"{path}: tensor 'weight' has the shape [3, 4], in the model [5, 4]", message);
        Assert.All(model.Parameters(), own => Assert.All(own.Parameter.Value.ToArray(), value => Assert.Equal(9, value)));
    }

    [Fact]
    public void Missing_and_unexpected_names_are_listed()
    {
        var path = Path.Combine(_newest, "model.safetensors");
        var message = Assert
            .Throws<InvalidDataException>(() => Weights.Load(path, new CheckpointFolder.TwoParts(9, name: "kernel")))
            .Message;
        Assert.Equal($"{path}: does not have the model's tensors; missing: kernel; unexpected: weight", message);
        var many = Enumerable.Range(10, 13).Select(i => ($"n{i}", Tensor.Allocate([1]))).ToList();
        using var file = SafetensorsFile.Open(path);
        message = Assert.Throws<InvalidDataException>(() => Weights.Load(file, many)).Message;
        Assert.Contains(
            "missing: n10, n11, n12, n13, n14, n15, n16, n17, n18, n19 and 3 more; unexpected: norm.weight, weight", message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_another_type_is_refused()
    {
        using var file = SafetensorsFile.Open(Path.Combine(_newest, "model.safetensors"));
        var tensors = new[] { ("weight", Tensor.Allocate([3, 4])), ("norm.weight", Tensor.Allocate([4], ElementType.I32)) };
        var message = Assert.Throws<InvalidDataException>(() => Weights.Load(file, tensors)).Message;
        Assert.Contains("'norm.weight' is of type F32, in the model I32", message, StringComparison.Ordinal);
    }

    /// <summary>That the store gives the checkpoint before, and says what is wrong with the newest.</summary>
    private void FallsBack(string path)
    {
        var damaged = new List<Exception>();
        CheckpointFolder.AssertIsOf(1, _store.Latest(damaged.Add));
        Assert.StartsWith(path, Assert.Single(damaged).Message, StringComparison.Ordinal);
    }
}
