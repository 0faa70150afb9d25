using System.CommandLine;

namespace Nephos.Host.Commands;

/// <summary><c>nephos env</c>: export lines for the clients people have. <c>nephos roles</c>: what a process can be.</summary>
internal static class EnvCommand
{
    public static Command CreateEnv()
    {
        var state = ServeCommand.StateOption();
        var user = new Option<string>("--user") { Description = "admin or demo", DefaultValueFactory = _ => "admin" };
        var command = new Command("env", "Print export lines for the openstack, S3 and gRPC clients") { state, user };
        command.SetAction(parse =>
        {
            var (directory, name) = (parse.GetValue(state)!, parse.GetValue(user)!);
            if (name is not ("admin" or "demo"))
            {
                throw new CommandException("--user is admin or demo");
            }
            var server = RunningServer.Require(directory);
            var (access, secret) = Secrets.Ec2(directory, name);
            foreach (var (variable, value) in new (string, string)[]
            {
                ("OS_AUTH_URL", $"{server.RestUrl}/identity/v3"),
                ("OS_IDENTITY_API_VERSION", "3"),
                ("OS_USERNAME", name),
                ("OS_PASSWORD", Secrets.Password(directory, name)),
                ("OS_PROJECT_NAME", name),
                ("OS_USER_DOMAIN_NAME", "Default"),
                ("OS_PROJECT_DOMAIN_NAME", "Default"),
                ("OS_REGION_NAME", server.Region),
                ("OS_INTERFACE", "public"),
                ("AWS_ENDPOINT_URL", server.S3Url),
                ("AWS_ACCESS_KEY_ID", access),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_DEFAULT_REGION", server.Region),
                ("NEPHOS_GRPC", server.PublicGrpc),
            })
            {
                Console.WriteLine($"export {variable}='{value.Replace("'", "'\\''", StringComparison.Ordinal)}'");
            }
        });
        return command;
    }

    /// <summary>The list the Tiltfile reads.</summary>
    public static Command CreateRoles()
    {
        var command = new Command("roles", "Print the names of all roles");
        command.SetAction(_ => Console.WriteLine(string.Join(' ', Roles.All.Select(role => role.Name))));
        return command;
    }
}
