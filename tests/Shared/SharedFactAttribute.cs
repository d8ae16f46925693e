namespace Tessera.Testing;

/// <summary>A test that needs reference outputs or data sets which may not be here, and says so where it is skipped.</summary>
public sealed class SharedFactAttribute : FactAttribute
{
    /// <summary>Skips the test unless <paramref name="needs"/> is in an archive of <c>tests/Fixtures</c> or in <c>shared/</c>.</summary>
    public SharedFactAttribute(string needs)
    {
        if (Fixture.Shared(needs) is null)
            Skip = $"needs {needs}, which is neither in tests/Fixtures nor in a folder 'shared' beside the checkout";
    }
}
