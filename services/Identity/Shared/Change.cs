namespace Nephos.Identity.Shared;

/// <summary>A field of an update: given, perhaps as null, or left as it is.</summary>
internal readonly record struct Change<T>(bool IsGiven, T? Value)
{
    public T? Or(T? current) => IsGiven ? Value : current;
}

internal static class Change
{
    public static Change<T> To<T>(T? value) => new(true, value);
}
