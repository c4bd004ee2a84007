CREATE TABLE user (
  id INT PRIMARY KEY AUTO_INCREMENT,
  username VARCHAR(50) NOT NULL UNIQUE,
  password VARCHAR(50) NOT NULL
);
INSERT INTO user (id, username, password) VALUES (42, 'ada', 'correct horse battery'), (7, 'grace', '123456');
