namespace Nephos.Host;

/// <summary>The secrets that the identity role wrote when it made the cloud.</summary>
internal static class Secrets
{
    public static string Password(string stateDirectory, string user) => Read(stateDirectory, $"{user}.password").Trim();

    /// <summary>The access key and the secret key of a user.</summary>
    public static (string Access, string Secret) Ec2(string stateDirectory, string user)
    {
        var lines = Read(stateDirectory, $"{user}.ec2").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return (lines[0], lines[1]);
    }

    private static string Read(string stateDirectory, string name)
    {
        var file = Path.Combine(stateDirectory, "secrets", name);
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            throw new CommandException($"{file} does not exist; the cloud of this state directory was never started, or there is no such user");
        }
        catch (UnauthorizedAccessException)
        {
            throw new CommandException($"{file} may be read by its owner only");
        }
    }
}
