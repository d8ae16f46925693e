namespace Tessera.Models;

/// <summary>A way in which a model lies on a disk: what tells it from the others, and how it is loaded.</summary>
internal abstract class ModelFormat
{
    /// <summary>Whether a model of this format lies at a path. Weights are not looked at.</summary>
    /// <param name="path">A folder or a file; there may be none.</param>
    /// <exception cref="InvalidDataException">A file that would tell is damaged.</exception>
    public abstract bool IsAt(string path);

    /// <summary>Loads the model that lies at a path.</summary>
    /// <param name="path">Where <see cref="IsAt"/> found one.</param>
    /// <param name="asStored">Whether weights stay in the type they are stored in.</param>
    /// <param name="check">Whether weights that have a hash are read whole, to see that they are those that were written.</param>
    /// <exception cref="FileNotFoundException">A file is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or they do not belong together.</exception>
    /// <exception cref="Nn.RecipeException">The configuration asks for a model that cannot be.</exception>
    public abstract ModelFolder Load(string path, bool asStored, bool check);
}
